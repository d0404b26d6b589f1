"""How many people two parties have in common, told with noise: enough to decide whether to start."""
