"""Settings of federated statistics. Light: `check` uses them too."""

from dataclasses import dataclass

from veilflow.components.errors import ComponentError

SCALES = ("standard", "robust", "range", "none")
"""``standard``: mean and deviation; ``robust``: median and quartile distance; ``range``: the clipping quantiles become
0 and 1."""
FILLS = ("none", "mean", "median")
QUARTILES = (0.25, 0.5, 0.75)
ZOOM, STEPS = 32, 5
"""Quantiles are found to ``ZOOM**-STEPS`` of twice the largest magnitude."""


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
        """Secure sums of one step: moments before cleaning, quantiles, mean and variance after it."""
        return 1 + STEPS + 2

    def length(self, columns: int) -> int:
        """Numbers in each of them; shorter ones are padded."""
        return max(2 * columns, columns * len(self.levels) * (ZOOM - 1))
