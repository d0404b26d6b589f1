"""One client's part of each sum, and what the totals mean. Whole numbers throughout: sums are exact.

A column's values are measured in units of ``2**exponent``, the power of two above the largest magnitude at any client.
Each part of a sum is `LIMBS` whole numbers of `FRACTION` bits, so that one value a billion times as long as the others
leaves these all their digits. Missing and infinite cells are left out of account.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from veilflow.components.data.federated_stats.spec import FINE, LIMBS, ZOOM
from veilflow.components.data.names import listed

FRACTION = 30
BOUND = 1 << 56
"""No client's part of a sum is larger: 2**26 rows."""
_LEAST = 1e-90
"""Smaller values are taken for 0."""
_SIGN = np.uint64(1 << 63)
_UNLIKE = 6
"""Exponents this far apart: a share against per cent, yuan against thousands."""


def exponents(frame: pd.DataFrame, columns: Sequence[str]) -> list[int]:
    """Per column the smallest e with all finite values below ``2**e`` in magnitude; -1000 where there is none."""
    return [exponent(float(np.abs(finite(frame, name)).max(initial=0.0))) for name in columns]


def exponent(largest: float) -> int:
    """The smallest e with ``largest < 2**e``; -1000 for 0."""
    return math.frexp(largest)[1] if largest > 0 else -1000


def unlike_magnitudes(columns: Sequence[str], exponents_of: Mapping[str, Sequence[int]]) -> str:
    """Of the clients' exponents, which are public: columns that seem to be in other units at one of them, or to hold a
    number that stands for a missing one; empty if there is none."""
    found = []
    for index, name in enumerate(columns):
        known = {party: each[index] for party, each in exponents_of.items() if each[index] > exponent(0.0)}
        if known and max(known.values()) - min(known.values()) >= _UNLIKE:
            low, high = min(known, key=lambda party: known[party]), max(known, key=lambda party: known[party])
            found.append(f"{name} (below 2^{known[low]} at {low}, up to 2^{known[high]} at {high})")
    if not found:
        return ""
    return (
        f"largest values differ by {2 ** (_UNLIKE - 1)} times and more between clients: {listed(found)}; is it the "
        "same unit everywhere, and does no number such as 999999 stand for a missing one?"
    )


def first_moment(frame: pd.DataFrame, columns: Sequence[str], units: Sequence[int]) -> np.ndarray:
    """int64 (columns x (1 + LIMBS)): how many finite values, then the limbs of their sums, column by column."""
    counts, sums = [], []
    for name, unit in zip(columns, units, strict=True):
        values = finite(frame, name)
        counts.append(len(values))
        sums += _limbs(np.ldexp(values, -unit))
    return np.array([*counts, *sums], np.int64)


def second_moment(
    frame: pd.DataFrame, columns: Sequence[str], units: Sequence[int], mean: Sequence[float]
) -> np.ndarray:
    """int64 (columns x LIMBS): sums of squared distances from the common mean, in units of ``4**(exponent + 1)``."""
    found = []
    for name, unit, middle in zip(columns, units, mean, strict=True):
        away = np.ldexp(finite(frame, name) - middle, -unit - 1)
        found += _limbs(away * away)
    return np.array(found, np.int64)


def means(total: np.ndarray, units: Sequence[int]) -> tuple[list[int], list[float]]:
    """Counts and means of a total of `first_moment`; 0 where a column has no value anywhere."""
    counts = [int(count) for count in total[: len(units)]]
    return counts, _averages(total[len(units) :], units, counts)


def variances(total: np.ndarray, units: Sequence[int], counts: Sequence[int]) -> list[float]:
    """Variances (divisor n) of a total of `second_moment`."""
    return _averages(total, [2 * (unit + 1) for unit in units], counts)


@dataclass
class QuantileSearch:
    """All clients count their values below common points; the totals narrow every quantile's interval.

    Points lie evenly among the floating-point numbers of an interval, not among its values: where a column has one
    value a billion times as long as the others, these are told apart as if it were not there.
    """

    low: np.ndarray
    """uint64 (columns, levels), see `_ranks`: below the quantile."""
    high: np.ndarray
    """uint64 (columns, levels): not below it."""
    levels: tuple[float, ...]
    counts: np.ndarray
    """(columns,): values at all clients."""

    @staticmethod
    def over(units: Sequence[int], counts: Sequence[int], levels: tuple[float, ...]) -> "QuantileSearch":
        """A search in the columns' whole ranges."""
        top = np.ldexp(1.0, np.clip(units, -1000, 1023))
        high, low = (np.repeat(_ranks(edge)[:, None], len(levels), axis=1) for edge in (top, -top))
        return QuantileSearch(low, high, levels, np.asarray(counts))

    def points(self) -> np.ndarray:
        """float64 (columns, levels, ZOOM - 1): where to count next."""
        return _numbers(self._edges()[..., 1:-1])

    def narrow(self, total: np.ndarray) -> None:
        """Take a total of `counts_up_to`."""
        edges = self._edges()
        size = edges[..., 1:-1].size
        below = total[:size].reshape(edges[..., 1:-1].shape)
        wanted = np.ceil(np.outer(self.counts, self.levels))[..., None]
        cell = (below < wanted).sum(axis=2)  # how many points lie below the quantile
        self.low = np.take_along_axis(edges, cell[..., None], axis=2)[..., 0]
        self.high = np.take_along_axis(edges, cell[..., None] + 1, axis=2)[..., 0]

    def done(self) -> bool:
        """Whether every quantile is known to `FINE` of what lies between the outermost two."""
        low, high = _numbers(self.low), _numbers(self.high)
        spread = np.maximum(low[:, -1] - high[:, 0], 0.0)
        enough = np.maximum(FINE * spread, _LEAST)[:, None]
        return bool(((high - low <= enough) | (self.high - self.low <= 1)).all())

    def found(self) -> np.ndarray:
        """(columns, levels): the smallest value with at least the level's share of values up to it."""
        return _numbers(self.high)

    def _edges(self) -> np.ndarray:
        gap, k = (self.high - self.low)[..., None], np.arange(ZOOM + 1, dtype=np.uint64)
        part, rest = gap // np.uint64(ZOOM), gap % np.uint64(ZOOM)
        found: np.ndarray = self.low[..., None] + part * k + rest * k // np.uint64(ZOOM)
        return found


def ranked(frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, np.ndarray]:
    """Each column's finite values in order."""
    return {name: np.sort(finite(frame, name)) for name in columns}


def counts_up_to(values: Mapping[str, np.ndarray], columns: Sequence[str], points: np.ndarray) -> np.ndarray:
    """int64 (columns x levels x points, flat): how many of the `ranked` values are at most each point."""
    found = [np.searchsorted(values[name], at.ravel(), side="right") for name, at in zip(columns, points, strict=True)]
    return np.concatenate(found).astype(np.int64) if found else np.zeros(0, np.int64)


def finite(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column's finite values, float64."""
    values = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
    found: np.ndarray = values[np.isfinite(values)]
    return found


def _limbs(values: np.ndarray) -> list[int]:
    """The sum of numbers of magnitude at most 1, as the sums of their digits to the base ``2**FRACTION``."""
    found, rest = [], values
    for _ in range(LIMBS):
        rest = np.ldexp(rest, FRACTION)
        whole = np.floor(rest)
        found.append(int(whole.astype(np.int64).sum()))
        rest = rest - whole  # exact: no digit is lost
    return found


def _averages(limbs: np.ndarray, units: Sequence[int], counts: Sequence[int]) -> list[float]:
    found = []
    for at, (unit, count) in enumerate(zip(units, counts, strict=True)):
        total = 0
        for limb in limbs[at * LIMBS : (at + 1) * LIMBS]:
            total = (total << FRACTION) + int(limb)
        found.append(math.ldexp(total / (count << (FRACTION * LIMBS)), unit) if count else 0.0)
    return found


def _ranks(values: np.ndarray) -> np.ndarray:
    """float64 as uint64 in the same order, neighbours being neighbours."""
    bits = (np.asarray(values, np.float64) + 0.0).view(np.uint64)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _numbers(ranks: np.ndarray) -> np.ndarray:
    """The inverse of `_ranks`."""
    bits = np.where(ranks & _SIGN, ranks & ~_SIGN, ~ranks)
    found: np.ndarray = bits.view(np.float64)
    return found
