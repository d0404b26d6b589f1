"""One client's part of each sum, and what the totals mean. Whole numbers throughout: sums are exact.

A column's values are measured in units of ``2**exponent``, the power of two above the largest magnitude at any client,
with `FRACTION` bits. Missing and infinite cells are left out of account.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from veilflow.components.data.federated_stats.spec import STEPS, ZOOM

FRACTION = 30
BOUND = 1 << 56
"""No client's part of a sum is larger: 2**26 rows."""


def exponents(frame: pd.DataFrame, columns: Sequence[str]) -> list[int]:
    """Per column the smallest e with all finite values below ``2**e`` in magnitude; -1000 where there is none."""
    found = []
    for name in columns:
        values = finite(frame, name)
        largest = float(np.abs(values).max(initial=0.0))
        found.append(math.frexp(largest)[1] if largest > 0 else -1000)
    return found


def first_moment(frame: pd.DataFrame, columns: Sequence[str], units: Sequence[int]) -> np.ndarray:
    """int64 (2 x columns): how many finite values, and their sums."""
    counts, sums = [], []
    for name, unit in zip(columns, units, strict=True):
        values = finite(frame, name)
        counts.append(len(values))
        sums.append(_whole(np.ldexp(values, -unit)))
    return np.array([*counts, *sums], np.int64)


def second_moment(
    frame: pd.DataFrame, columns: Sequence[str], units: Sequence[int], mean: Sequence[float]
) -> np.ndarray:
    """int64 (columns): sums of squared distances from the common mean, in units of ``4**(exponent + 1)``."""
    found = []
    for name, unit, middle in zip(columns, units, mean, strict=True):
        away = np.ldexp(finite(frame, name) - middle, -unit - 1)
        found.append(_whole(away * away))
    return np.array(found, np.int64)


def means(total: np.ndarray, units: Sequence[int]) -> tuple[list[int], list[float]]:
    """Counts and means of a total of `first_moment`; 0 where a column has no value anywhere."""
    counts = [int(count) for count in total[: len(units)]]
    sums = total[len(units) : 2 * len(units)]
    return counts, [
        math.ldexp(int(s), unit - FRACTION) / count if count else 0.0
        for s, count, unit in zip(sums, counts, units, strict=True)
    ]


def variances(total: np.ndarray, units: Sequence[int], counts: Sequence[int]) -> list[float]:
    """Variances (divisor n) of a total of `second_moment`."""
    return [
        math.ldexp(int(s), 2 * (unit + 1) - FRACTION) / count if count else 0.0
        for s, count, unit in zip(total, counts, units, strict=False)
    ]


@dataclass
class QuantileSearch:
    """All clients count their values below common points; the totals narrow every quantile's interval."""

    low: np.ndarray
    """(columns, levels): below the quantile."""
    high: np.ndarray
    """(columns, levels): not below it."""
    levels: tuple[float, ...]
    counts: np.ndarray
    """(columns,): values at all clients."""

    @staticmethod
    def over(units: Sequence[int], counts: Sequence[int], levels: tuple[float, ...]) -> "QuantileSearch":
        """A search in the columns' whole ranges."""
        top = np.repeat(np.ldexp(1.0, np.asarray(units))[:, None], len(levels), axis=1)
        return QuantileSearch(-top, top, levels, np.asarray(counts))

    def points(self) -> np.ndarray:
        """(columns, levels, ZOOM - 1): where to count next."""
        inside = np.arange(1, ZOOM) / ZOOM
        found: np.ndarray = self.low[..., None] + (self.high - self.low)[..., None] * inside
        return found

    def narrow(self, total: np.ndarray) -> None:
        """Take a total of `counts_up_to`."""
        points = self.points()
        below = total[: points.size].reshape(points.shape)
        wanted = np.ceil(np.outer(self.counts, self.levels))[..., None]
        cell = (below < wanted).sum(axis=2)  # how many points lie below the quantile
        edges = np.concatenate([self.low[..., None], points, self.high[..., None]], axis=2)
        self.low = np.take_along_axis(edges, cell[..., None], axis=2)[..., 0]
        self.high = np.take_along_axis(edges, cell[..., None] + 1, axis=2)[..., 0]

    def found(self) -> np.ndarray:
        """(columns, levels): the smallest value with at least the level's share of values up to it."""
        found: np.ndarray = self.high
        return found


def counts_up_to(frame: pd.DataFrame, columns: Sequence[str], points: np.ndarray) -> np.ndarray:
    """int64 (columns x levels x points, flat): how many finite values are at most each point."""
    found = []
    for name, at in zip(columns, points, strict=True):
        values = np.sort(finite(frame, name))
        found.append(np.searchsorted(values, at.ravel(), side="right"))
    return np.concatenate(found).astype(np.int64) if found else np.zeros(0, np.int64)


def resolution(units: Sequence[int]) -> list[float]:
    """How far a quantile may be off, per column."""
    return [math.ldexp(2.0, unit) / ZOOM**STEPS for unit in units]


def finite(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column's finite values, float64."""
    values = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
    found: np.ndarray = values[np.isfinite(values)]
    return found


def _whole(values: np.ndarray) -> int:
    return int(np.rint(np.ldexp(values, FRACTION)).astype(np.int64).sum())
