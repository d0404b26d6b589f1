"""Settings of federated statistics. Light: `check` uses them too."""

from dataclasses import dataclass

from veilflow.components.errors import ComponentError

SCALES = ("standard", "robust", "range", "none")
"""``standard``: mean and deviation; ``robust``: median and quartile distance; ``range``: the clipping quantiles become
0 and 1."""
FILLS = ("none", "mean", "median")
QUARTILES = (0.25, 0.5, 0.75)
ZOOM, STEPS = 32, 13
"""Quantiles are found in at most ``STEPS`` sums, each of which cuts their intervals to one in ``ZOOM``: in 13 a double
is known to its last bit."""
FINE = 2.0**-12
"""The search ends where every quantile is known to this part of what lies between the outermost two."""
LIMBS = 3
"""Whole numbers per sum of a column's values."""
NARROW = 1e-5
"""Quartiles closer than this, after scaling, are lost in single precision."""


@dataclass(frozen=True)
class StatsSpec:
    """Public settings."""

    scale: str = "standard"
    fill: str = "median"
    clip: float = 0.0
    """Share of values cut off at either end; 0: none."""
    bins: int = 10

    @property
    def levels(self) -> tuple[float, ...]:
        """Quantiles that are looked for, in order."""
        low = self.clip or 0.01
        bins = (number / self.bins for number in range(1, self.bins))
        return tuple(sorted({low, 1 - low, *QUARTILES, *bins}))

    def check(self) -> None:
        """Refuse settings that contradict each other.

        Raises:
            ComponentError: see the message.
        """
        if not 0 <= self.clip < 0.25:
            raise ComponentError(f"clip is {self.clip:g}; it is the share cut off at either end, 0 to below 0.25.")

    def sums(self) -> int:
        """Secure sums of one step, at most: moments before cleaning, quantiles, mean and variance after it."""
        return 1 + STEPS + 2

    def length(self, columns: int) -> int:
        """Numbers in each of them; shorter ones are padded."""
        return max((1 + LIMBS) * columns, columns * len(self.levels) * (ZOOM - 1))
