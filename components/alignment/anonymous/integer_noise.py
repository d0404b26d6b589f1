"""Discrete Laplace noise for counts, exact and from the operating system's randomness.

Pr[x] is proportional to exp(-epsilon |x|) over the integers, so adding it to a count that one person changes by at most
one gives epsilon-differential privacy. No floating point takes part in drawing (Mironov 2012: rounding gives it away).

Reference    Canonne, Kamath and Steinke, "The discrete Gaussian for differential privacy", NeurIPS 2020, algorithm 2.
"""

from __future__ import annotations

import math
import secrets
from fractions import Fraction

from veilflow.components.errors import ComponentError


def discrete_laplace(epsilon: Fraction) -> int:
    """One draw.

    Args:
        epsilon: positive.
    """
    _require_positive(epsilon)
    over, under = epsilon.numerator, epsilon.denominator
    while True:
        fine = secrets.randbelow(under)
        if not _with_chance_of_exp(Fraction(fine, under)):
            continue
        whole = 0
        while _with_chance_of_exp(Fraction(1)):
            whole += 1
        size, negative = (fine + under * whole) // over, secrets.randbelow(2)
        if not (negative and size == 0):
            return -size if negative else size


def bounded_laplace(epsilon: Fraction, bound: int) -> int:
    """A draw conditioned on its size being at most ``bound``: (epsilon, delta)-DP, see `bound_for`."""
    while True:
        drawn = discrete_laplace(epsilon)
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


def _with_chance_of_exp(gamma: Fraction) -> bool:
    """True with probability exp(-gamma), for gamma in [0, 1]."""
    step = 1
    while secrets.randbelow(gamma.denominator * step) < gamma.numerator:
        step += 1
    return step % 2 == 1
