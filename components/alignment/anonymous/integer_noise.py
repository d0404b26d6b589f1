"""Discrete Laplace noise for counts, exact; from the operating system's randomness, or from a key that came from there.

Pr[x] is proportional to exp(-epsilon |x|) over the integers, so adding it to a count that one person changes by at most
one gives epsilon-differential privacy. No floating point takes part in drawing (Mironov 2012: rounding gives it away).

Reference    Canonne, Kamath and Steinke, "The discrete Gaussian for differential privacy", NeurIPS 2020, algorithm 2.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator
from fractions import Fraction

from veilflow.components.alignment.anonymous import prg
from veilflow.components.errors import ComponentError

_WORDS = 64
"""uint64 of a key's stream made at a time."""
Below = Callable[[int], int]
"""A positive limit -> a uniform whole number from 0 to below it."""


def keyed_draws(key: bytes) -> Below:
    """Draws that the 32-byte ``key`` fixes: the same ones in the same order each time."""
    words = _words(key)

    def below(limit: int) -> int:
        bits = (limit - 1).bit_length()
        while True:
            number = 0
            for _ in range(-(-bits // 64)):
                number = number << 64 | next(words)
            number >>= -bits % 64
            if number < limit:
                return number

    return below


def _words(key: bytes) -> Iterator[int]:
    at = 0
    while True:
        yield from prg.rows(key, at, _WORDS, 1)[:, 0].tolist()
        at += _WORDS


def discrete_laplace(epsilon: Fraction, below: Below = secrets.randbelow) -> int:
    """One draw.

    Args:
        epsilon: positive.
        below: where randomness comes from.
    """
    _require_positive(epsilon)
    over, under = epsilon.numerator, epsilon.denominator
    while True:
        fine = below(under)
        if not _with_chance_of_exp(Fraction(fine, under), below):
            continue
        whole = 0
        while _with_chance_of_exp(Fraction(1), below):
            whole += 1
        size, negative = (fine + under * whole) // over, below(2)
        if not (negative and size == 0):
            return -size if negative else size


def bounded_laplace(epsilon: Fraction, bound: int, below: Below = secrets.randbelow) -> int:
    """A draw conditioned on its size being at most ``bound``: (epsilon, delta)-DP, see `bound_for`."""
    while True:
        drawn = discrete_laplace(epsilon, below)
        if abs(drawn) <= bound:
            return drawn


def bound_for(epsilon: Fraction, delta: float) -> int:
    """The smallest bound with which `bounded_laplace` is (epsilon, delta)-DP for counts that a person changes by one.

    The two worlds' noised counts have supports that differ in one number at each end; delta is that number's weight.
    """
    _require_positive(epsilon)
    rate = float(epsilon)
    normal = (1 - math.exp(-rate)) / (1 + math.exp(-rate))
    bound = max(1, math.ceil(math.log(normal / delta) / rate))
    # Conditioning divides by the mass that is left, which is next to one.
    while normal * math.exp(-rate * bound) / (1 - 2 * math.exp(-rate * bound)) > delta:
        bound += 1
    return bound


def exact(epsilon: float) -> Fraction:
    """A parameter as the fraction that people mean by it: 0.1 as 1/10.

    Raises:
        ComponentError: it is not positive, or no number.
    """
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise ComponentError(f"epsilon is {epsilon}; it must be a positive number.")
    return Fraction(epsilon).limit_denominator(1_000_000)


def _require_positive(epsilon: Fraction) -> None:
    if epsilon <= 0:
        raise ComponentError(f"epsilon is {float(epsilon):g}; it must be positive, and at least 0.000001.")


def _with_chance_of_exp(gamma: Fraction, below: Below) -> bool:
    """True with probability exp(-gamma), for gamma in [0, 1]."""
    step = 1
    while below(gamma.denominator * step) < gamma.numerator:
        step += 1
    return step % 2 == 1
