"""Settings of scaling. Light: `check` uses them too."""

METHODS = ("standard", "minmax", "none")
"""``standard``: mean 0 and standard deviation 1; ``minmax``: 0 to 1; ``none``: as it is."""
