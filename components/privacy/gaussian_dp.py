"""Gaussian differential privacy in closed form: mu of added Gaussians, and epsilon at a delta. Light: plain floats.

Releases with noise of z times the sensitivity are together as private as one Gaussian with mu = sqrt(sum 1 / z**2),
also where later ones depend on earlier results. Source: Dong, Roth, Su 2022, arxiv.org/abs/1905.02383; Balle and Wang
2018, arxiv.org/abs/1805.06530. Tests hold it to `accountant.gaussian_epsilon`.
"""

import math
from collections.abc import Callable

_FAR = -30.0
"""Below, the lower tail of the normal distribution is taken by its series."""


def delta_of(mu: float, epsilon: float) -> float:
    """The smallest delta with which something of ``mu`` is (epsilon, delta)-private."""
    return math.exp(_log_tail(mu / 2 - epsilon / mu)) - math.exp(epsilon + _log_tail(-mu / 2 - epsilon / mu))


def epsilon_of(mu: float, delta: float) -> float:
    """The smallest epsilon at ``delta``; infinite for infinite ``mu`` (no noise)."""
    if math.isinf(mu):
        return math.inf
    if mu == 0 or delta_of(mu, 0.0) <= delta:
        return 0.0
    highest = mu * mu / 2 + mu * math.sqrt(2 * math.log(1 / delta)) + 1.0
    return _root(lambda epsilon: delta - delta_of(mu, epsilon), 0.0, highest)


def mu_for(epsilon: float, delta: float) -> float:
    """The largest mu that is (epsilon, delta)-private."""
    high = 1.0
    while epsilon_of(high, delta) < epsilon:
        high *= 2
    return _root(lambda mu: epsilon_of(mu, delta) - epsilon, 0.0, high)


def attack_auc(mu: float) -> float:
    """No attack of two neighbours by each other has a larger area under its ROC curve: Phi(mu / sqrt(2))."""
    return math.exp(_log_tail(mu / math.sqrt(2)))


def _log_tail(x: float) -> float:
    """Logarithm of the normal distribution function."""
    if x > _FAR:
        return math.log(math.erfc(-x / math.sqrt(2)) / 2)
    return -x * x / 2 - math.log(-x * math.sqrt(2 * math.pi)) + math.log1p(-1 / x**2 + 3 / x**4)


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where a rising function passes 0, from below, to 1e-9."""
    while high - low > 1e-9 * max(1.0, high):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return low
