"""Floats as whole numbers on an agreed grid, with a bound on their L2 norm that holds after rounding.

Rounding can lengthen a vector: to nearest by up to sqrt(d)/2, stochastically by up to sqrt(d). So noise is
calibrated to the sensitivity of the *integers*, `Grid.sensitivity`, and every rounded vector is checked against it with
exact arithmetic; what is too long is drawn again, or shrunk towards zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.stream import RandomWords, random_words

ROUNDING = ("toward_zero", "nearest", "stochastic")
_TRIES = 8


@dataclass(frozen=True)
class Grid:
    """Public: ``step`` of the grid and how to round to it.

    Args:
        step: what one unit is worth, in parameter units.
        rounding: ``toward_zero`` never lengthens a vector, and pulls values towards zero by half a step on average;
            ``nearest`` lengthens it by up to sqrt(d)/2 steps; ``stochastic`` is unbiased, and is drawn again until it
            is no longer than a draw is with probability 0.39 at least (conditional rounding, Kairouz et al. 2021,
            arxiv.org/abs/2102.06387, proposition 20 with beta = exp(-1/2)).
    """

    step: float
    rounding: str = "nearest"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.step) and self.step > 0):
            raise ComponentError(f"quantise: the grid's step is {self.step}; it must be positive.")
        if self.rounding not in ROUNDING:
            raise ComponentError(f"quantise: no rounding '{self.rounding}'; choose one of {', '.join(ROUNDING)}.")

    def sensitivity(self, clip: float, size: int) -> int:
        """The largest L2 norm, in steps, that `quantise` returns for a vector clipped to ``clip``."""
        norm, half = clip / self.step, math.sqrt(size) / 2
        if self.rounding == "toward_zero":
            return max(1, math.ceil(norm))
        longest = norm + half
        if self.rounding == "stochastic":
            longest = min(longest, math.sqrt(norm * norm + half * half + norm + half))
        return max(1, math.ceil(longest))


def quantise(vector: np.ndarray, grid: Grid, clip: float, words: RandomWords = random_words) -> np.ndarray:
    """``vector / grid.step`` as int64, L2 norm at most ``grid.sensitivity(clip, d)``, exactly.

    Args:
        vector: floats of shape ``(d,)``, finite, clipped to about ``clip`` before (a longer one is shrunk).
    """
    scaled = np.asarray(vector, np.float64) / grid.step
    if scaled.ndim != 1 or not np.isfinite(scaled).all():
        raise ComponentError(f"quantise: the vector of shape {list(scaled.shape)} must be flat and finite.")
    limit = grid.sensitivity(clip, scaled.size)
    norm = float(np.linalg.norm(scaled))
    if norm > 2 * limit:
        scaled *= limit / norm  # keeps what follows far from 2**63
    rounded = _round(scaled, grid, limit, words)
    if squared_norm(rounded) > limit * limit:
        rounded = shrink(rounded, limit)
    return rounded


def dequantise(units: np.ndarray, grid: Grid) -> np.ndarray:
    """float64 in parameter units."""
    return units.astype(np.float64) * grid.step  # type: ignore[no-any-return]


def squared_norm(units: np.ndarray) -> int:
    """Sum of squares of int64 values, exact, whatever their size and number; from 2**31 on it takes its time."""
    if not units.size:
        return 0
    largest = max(int(units.max()), -int(units.min()), 1)
    if largest >= 1 << 31:  # sums of clients' values of 30 bits or more
        return sum(value * value for value in units.tolist())
    block = max(1, (1 << 62) // (largest * largest))
    return sum(int(np.dot(part, part)) for part in np.array_split(units, -(-units.size // block)))


def shrink(units: np.ndarray, limit: int) -> np.ndarray:
    """Whole numbers moved towards zero until their L2 norm is at most ``limit``."""
    found = units
    while (square := squared_norm(found)) > limit * limit:
        found = np.trunc(found * (limit / math.sqrt(square))).astype(np.int64)
    return found


def _round(scaled: np.ndarray, grid: Grid, limit: int, words: RandomWords) -> np.ndarray:
    if grid.rounding == "toward_zero":
        return np.trunc(scaled).astype(np.int64)  # type: ignore[no-any-return]
    if grid.rounding == "nearest":
        return np.rint(scaled).astype(np.int64)  # type: ignore[no-any-return]
    low = np.floor(scaled)
    for _ in range(_TRIES):
        coins = (words(scaled.size) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        drawn: np.ndarray = (low + (coins < scaled - low)).astype(np.int64)
        if squared_norm(drawn) <= limit * limit:
            return drawn
    return np.trunc(scaled).astype(np.int64)  # type: ignore[no-any-return]
