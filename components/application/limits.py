"""Limits that claims name and kernels keep; light, so that `plan` can read them."""

MIN_GROUP_ROWS = 10
"""Smaller groups are pooled: figures over fewer rows come close to single labels."""
