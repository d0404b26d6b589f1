"""Noise for differential privacy, from the operating system's randomness.

`discrete_gaussian` gives whole numbers, for sums that are masked or encrypted: exact up to 2**-106 in total variation.
`gaussian` gives floats, for values that stay floats; floating-point Gaussians are not exact (Mironov 2012 breaks naive
ones), so whatever leaves a party should pass through the integers of `quantise` and `discrete_gaussian`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtri

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.stream import RandomWords, random_words

MAX_SIGMA = float(1 << 16)
"""Larger ones would need tables of more than 100 MB; a coarser grid says the same with smaller numbers."""
_BITS = 128
"""Probabilities are kept as multiples of 2**-128."""
_WORK = 256
"""Bits of the fixed point in which the table is computed."""
_GUIDE = 16


@dataclass(frozen=True)
class _Table:
    """Cumulative probabilities of the values ``-reach .. reach``, last one left out (it is 1)."""

    reach: int
    high: np.ndarray
    """uint64: upper half of each cumulative probability."""
    low: np.ndarray
    """uint64: lower half."""
    guide: np.ndarray
    """int32: per value of the top 16 bits, how many cumulative probabilities lie below; one more at the end."""


def discrete_gaussian(size: int, sigma: float, words: RandomWords = random_words) -> np.ndarray:
    """``size`` independent draws x, each with probability ~ exp(-x**2 / (2 sigma**2)): int64, ``(size,)``.

    Args:
        sigma: in units of the grid; 0 < sigma <= `MAX_SIGMA`. The variance is sigma**2 within 1e-6 for sigma >= 1.
        words: the source of randomness; only tests give another one.

    Guarantees (``tests/components/privacy/test_noise.py``):
        - Each draw inverts the cumulative distribution at a uniform 128-bit number. The table is exact to 2**-128 per
          entry and cut where less than 2**-128 is left, so a draw is within ``27 sigma 2**-128`` of the distribution in
          total variation: below 2**-106 at the largest sigma, 2**-80 for 2**26 draws together.
        - Privacy: adding it to integer vectors of L2 sensitivity D is (D**2 / (2 sigma**2))-zCDP.

    Source: Canonne, Kamath, Steinke 2020, arxiv.org/abs/2004.00010 (distribution and guarantee; they sample by
    rejection, which needs big numbers per draw). Cost: 20 to 60 ns a draw, and a table of ``27 sigma`` entries.
    """
    if not 0 < sigma <= MAX_SIGMA:
        raise ComponentError(f"noise: sigma is {sigma} grid units; it must be above 0 and at most {MAX_SIGMA:g}.")
    table = _table(float(sigma))
    drawn = words(size)
    top = (drawn >> np.uint64(64 - _GUIDE)).astype(np.int64)
    index = table.guide[top].astype(np.int64)
    # Most cells of the guide hold no threshold, so the answer is already there.
    unsure = np.flatnonzero(table.guide[top + 1] != index)
    index[unsure] = np.searchsorted(table.high, drawn[unsure], side="left")
    _resolve_ties(index, drawn, unsure, table, words)
    found: np.ndarray = index - table.reach
    return found


def gaussian(size: int, deviation: float, words: RandomWords = random_words) -> np.ndarray:
    """``size`` draws of N(0, deviation**2): float64, shape ``(size,)``, by inversion at 53-bit uniforms.

    The largest possible draw is 8.2 deviations; a true Gaussian is larger with probability 2**-53.
    """
    if deviation < 0:
        raise ComponentError(f"noise: the deviation is {deviation}; it must not be negative.")
    uniform = ((words(size) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return deviation * ndtri(uniform)  # type: ignore[no-any-return]


def _resolve_ties(index: np.ndarray, drawn: np.ndarray, unsure: np.ndarray, table: _Table, words: RandomWords) -> None:
    """Where 64 bits equal the upper half of a threshold, 64 more bits decide. Changes ``index``."""
    inside = unsure[index[unsure] < table.high.size]
    ties = inside[table.high[index[inside]] == drawn[inside]]
    if not ties.size:
        return
    for at, more in zip(ties, words(ties.size), strict=True):
        while index[at] < table.high.size and table.high[index[at]] == drawn[at] and table.low[index[at]] <= more:
            index[at] += 1


@lru_cache(maxsize=64)
def _table(sigma: float) -> _Table:
    numerator, denominator = sigma.as_integer_ratio()
    reach = math.ceil(sigma * math.sqrt(2 * (_BITS + 2) * math.log(2))) + 1
    # w(x) = exp(-x^2 / 2 sigma^2) by w(x+1) = w(x) r(x), r(x+1) = r(x) q, in integers of 256 fraction bits.
    half = _exp_minus(denominator * denominator, 2 * numerator * numerator)
    step, weight, weights = half, 1 << _WORK, [1 << _WORK]
    square = half * half >> _WORK
    for _ in range(reach):
        weight = weight * step >> _WORK
        step = step * square >> _WORK
        weights.append(weight)
    both = weights[:0:-1] + weights
    total, running, cumulative = sum(both), 0, []
    for each in both[:-1]:
        running += each
        cumulative.append(min((running << _BITS) // total, (1 << _BITS) - 1))
    high = np.array([each >> 64 for each in cumulative], np.uint64)
    low = np.array([each & ((1 << 64) - 1) for each in cumulative], np.uint64)
    cells = np.arange(1 << _GUIDE, dtype=np.uint64) << np.uint64(64 - _GUIDE)
    guide = np.append(np.searchsorted(high, cells, side="left"), high.size).astype(np.int32)
    return _Table(reach, high, low, guide)


def _exp_minus(numerator: int, denominator: int) -> int:
    """exp(-numerator / denominator) with 256 fraction bits: 1 / exp(x) by its series, at a halved argument, squared."""
    halvings = (numerator // denominator).bit_length()
    x = (numerator << _WORK) // (denominator << halvings)
    term, total, k = 1 << _WORK, 1 << _WORK, 0
    while term:
        k += 1
        term = (term * x >> _WORK) // k
        total += term
    found = (1 << 2 * _WORK) // total
    for _ in range(halvings):
        found = found * found >> _WORK
    return found
