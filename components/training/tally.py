"""What this process itself did with its batches: the ground on which receipts of split training are written.

Settings say what was asked for; a receipt must say what happened. So noise is measured as it is drawn, and batches are
counted as they are released.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

_SIGMAS = 6.0
"""How far the measured deviation of true noise may be off, in units of its own uncertainty: one run in 10**8 is."""


@dataclass
class Tally:
    """Counts of one training at one party."""

    steps: int = 0
    """Batches released."""
    smallest: int = 0
    """Rows of the smallest of them."""
    feeds: int = 0
    """Times this party brought in its part of a batch."""
    vectors: int = 0
    """Noise vectors that this party drew."""
    values: int = 0
    squares: float = 0.0
    """Of all noise values. Private: only `drew` looks at it."""

    def released(self, rows: int) -> None:
        """A batch of ``rows`` rows was released."""
        self.smallest = rows if self.steps == 0 else min(self.smallest, rows)
        self.steps += 1

    def fed(self, noise: Iterable[np.ndarray]) -> None:
        """This party brought in a batch, with these noise vectors."""
        self.feeds += 1
        for vector in noise:
            self.vectors += 1
            self.values += vector.size
            self.squares += float(np.square(vector, dtype=np.float64).sum())

    def drew(self, deviation: float, per_step: int) -> bool:
        """Whether all noise that this party owes was drawn, and with this standard deviation.

        Args:
            deviation: positive.
            per_step: noise vectors that it owes to each batch; 0 at a party that owes none.
        """
        owed = per_step * self.steps
        if self.vectors != owed or (per_step and self.feeds != self.steps):
            return False
        if self.values == 0:
            return owed == 0
        measured = math.sqrt(self.squares / self.values)
        return abs(measured / deviation - 1) <= _SIGMAS / math.sqrt(2 * self.values)
