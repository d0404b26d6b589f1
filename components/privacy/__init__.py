"""Protection of updates: clipping, noise, budget, sparsification, packing, secure sums. Pure functions on arrays, but
for `secagg.secure_sum` and `secagg.backends`, which place them on devices."""
