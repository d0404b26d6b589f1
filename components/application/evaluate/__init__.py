"""How good are scores: kernels on numpy arrays, and the component that places them at the scores' holder."""
