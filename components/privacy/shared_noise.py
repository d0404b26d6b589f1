"""Discrete Laplace noise that several parties draw together, so that what one of them knows of it is not missed.

Computes     each party's part of a noise. A part is the difference of two negative binomial numbers of shape
             1 / (parties - 1): the parts of all parties but one sum to exactly discrete Laplace noise,
             Pr[x] proportional to exp(-epsilon |x|), and the part of the last one comes on top.
Adversary    semi-honest; any one of the parties, which knows its own part, or somebody who knows none.
Reveals      nothing by itself: parts go into the SPU as shares, and only sums with them are opened. A number that one
             person changes by at most one is then epsilon-differentially private, also against a party that draws.
Not covered  two parties that pool their parts (in an SPU of three they could open everything anyway).
Assumes      the operating system's randomness. Drawn by inversion of a table of whole numbers below 2^192, computed
             with 100 digits: no floating point takes part (Mironov 2012), and the distance to the exact distribution is
             below 2^-120.
Cost         two draws of 192 bits per number. Deviation sqrt(parties / (parties - 1)) times that of Laplace noise.
Reference    Goryczka and Xiong 2015, section 4.2 (Polya parts of geometric noise); Balle et al. 2020, eprint 2020/1382.
"""

import math
import secrets
from bisect import bisect_right
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache

import numpy as np

_BITS = 192
_DIGITS = 100
_TAIL = Decimal(2) ** -130


def noise_part(epsilon: Fraction, parties: int, shape: tuple[int, ...]) -> np.ndarray:
    """One party's part: int32 of ``shape``, fresh from the operating system's randomness.

    Args:
        epsilon: for a number that one person changes by at most one.
        parties: how many draw; at least 2.
    """
    assert parties >= 2, parties
    table = _cumulative(epsilon, parties - 1)

    def draw() -> int:
        return min(bisect_right(table, secrets.randbits(_BITS)), len(table) - 1)

    drawn = [draw() - draw() for _ in range(math.prod(shape))]
    return np.array(drawn, np.int32).reshape(shape)


def deviation(epsilon: float, parties: int) -> float:
    """Standard deviation of the whole noise."""
    rate = math.exp(-epsilon)
    return math.sqrt(2 * rate * parties / (parties - 1)) / (1 - rate)


@lru_cache(maxsize=32)
def margin(epsilon: Fraction, parties: int, terms: int, chance: float) -> int:
    """The smallest m such that the sum of ``terms`` whole noises is m or more with at most ``chance``.

    By Chernoff's bound, so a little too large; never too small.
    """
    rate, shape = math.exp(-float(epsilon)), terms * parties / (parties - 1)
    steps = np.linspace(0, float(epsilon), 402)[1:-1]
    growth = shape * (2 * math.log1p(-rate) - np.log1p(-rate * np.exp(steps)) - np.log1p(-rate * np.exp(-steps)))
    return max(1, math.ceil(float(np.min((growth - math.log(chance)) / steps))))


@lru_cache(maxsize=64)
def _cumulative(epsilon: Fraction, shares: int) -> list[int]:
    """2^192 times the distribution function of a negative binomial number of shape 1 / shares."""
    with localcontext() as context:
        context.prec = _DIGITS
        rate = (-Decimal(epsilon.numerator) / Decimal(epsilon.denominator)).exp()
        shape = Decimal(1) / shares
        weight, total, size = (1 - rate) ** shape, Decimal(0), 0
        found = []
        while size == 0 or 1 - total > _TAIL:
            total += weight
            found.append(int(total * (1 << _BITS)))
            size += 1
            weight *= rate * (size - 1 + shape) / size
    return found
