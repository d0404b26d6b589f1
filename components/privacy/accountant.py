"""How much epsilon noised releases cost: dp-accounting's PLD and Renyi accountants behind one small interface.

    pld      privacy loss distributions, nearly exact. Full-participation Gaussians (rate 1) are put together first:
             rounds with multipliers z_t are one Gaussian with 1/z^2 = sum 1/z_t^2, exact, whatever their order. Where
             there is nothing else its closed form is used, which tests compare with dp-accounting to 1e-3.
    rdp      Renyi; larger by some percent, and proven for the discrete Gaussian as it stands (Canonne et al. 2020).
             `pld` takes the discrete Gaussian as continuous: for one round on one coordinate the exact epsilon is
             within 1e-3 from 10 grid steps of noise on, 1e-4 from 100 (tests compute it); several rounds
             are assumed to be alike.
    filter   Renyi at one order that is fixed before training, so that multipliers may depend on earlier outputs (the
             `adaptive` schedule): Feldman and Zrnic 2021, arxiv.org/abs/2008.11193. Costs some percent more than `rdp`.

Neighbours: add or remove one unit (a record, or a client). A `Charge` with rate < 1 assumes Poisson batches
(`horizontal.fedavg.batches.poisson`), whose every step clips each record to C and adds noise of deviation z * C to the
sum.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import dp_accounting
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr

from veilflow.components.errors import ComponentError

METHODS = ("pld", "rdp", "filter")
# An order whose series does not converge is left out, which makes the bound larger, never smaller: hundreds of lines in
# a log about that say nothing to its reader.
logging.getLogger("absl").addFilter(lambda record: "failed to converge" not in record.getMessage())

_INTERVAL = 5e-4
"""Of loss distributions: 6 times as fast as the default 1e-4, and above it by less than 1e-3 in epsilon (tested)."""


@dataclass(frozen=True)
class Charge:
    """``steps`` releases with noise of ``multiplier`` times the sensitivity, each on a Poisson sample of ``rate``."""

    multiplier: float
    rate: float = 1.0
    steps: int = 1

    def __post_init__(self) -> None:
        if not (math.isfinite(self.multiplier) and self.multiplier > 0):
            raise ComponentError(f"accountant: the multiplier is {self.multiplier}; without noise there is no epsilon.")
        if not 0 < self.rate <= 1 or self.steps < 1:
            raise ComponentError(f"accountant: rate {self.rate} must be in (0, 1] and steps {self.steps} at least 1.")


def epsilon(charges: Iterable[Charge], delta: float, method: str = "pld", order: float | None = None) -> float:
    """Epsilon at ``delta`` of all ``charges`` together; 0 of none.

    Args:
        order: of ``filter``: see `filter_order`.
    """
    _require(delta, method)
    steps: Counter[tuple[float, float]] = Counter()
    for charge in charges:
        steps[charge.multiplier, charge.rate] += charge.steps
    if not steps:
        return 0.0
    if method == "filter" and order is None:
        raise ComponentError("accountant: method 'filter' needs the order that was fixed before training.")
    return _epsilon(tuple(sorted((z, rate, n) for (z, rate), n in steps.items())), delta, method, order)


def within(
    charges: Sequence[Charge], limit: float, delta: float, method: str = "pld", order: float | None = None
) -> bool:
    """Whether all ``charges`` together cost at most ``limit``.

    Loss distributions take a second, and minutes where epsilon is huge. So Renyi accounting, milliseconds, answers
    first: a bound from above that is within ``limit`` settles it, and one beyond three times the limit is refused.
    """
    if method == "pld" and any(charge.rate < 1 for charge in charges):
        bound = epsilon(charges, delta, "rdp")
        if bound <= limit or bound > hopeless(limit):
            return bound <= limit
    return epsilon(charges, delta, method, order) <= limit


def hopeless(limit: float) -> float:
    """A Renyi bound above this is not looked at more closely."""
    return 3 * limit + 3


def gaussian_epsilon(multipliers: Iterable[float], delta: float) -> float:
    """The closed form for rounds of full participation: the smallest epsilon >= 0 with

    delta >= Phi(-epsilon / mu + mu / 2) - exp(epsilon) Phi(-epsilon / mu - mu / 2),  mu = sqrt(sum 1 / z^2).

    Source: Balle and Wang 2018, arxiv.org/abs/1805.06530; Dong, Roth, Su 2022. Tests hold the accountant to it.
    """
    mu = math.sqrt(sum(z**-2 for z in multipliers))

    def excess(eps: float) -> float:
        tail = math.exp(eps + float(log_ndtr(-eps / mu - mu / 2)))
        return float(ndtr(-eps / mu + mu / 2)) - tail - delta

    if excess(0.0) <= 0:
        return 0.0
    return float(brentq(excess, 0.0, mu * mu / 2 + mu * math.sqrt(2 * math.log(1 / delta)) + 1.0, xtol=1e-10))


def filter_order(limit: float, delta: float) -> float:
    """The Renyi order at which a budget of (``limit``, ``delta``) lasts longest for Gaussian noise."""
    logarithm = math.log(1 / delta)
    root = math.sqrt(logarithm + limit) - math.sqrt(logarithm)  # of rho, where rho + 2 sqrt(rho log(1/delta)) = limit
    return 1 + math.sqrt(logarithm) / root


def rounds_possible(
    charges_of: Callable[[int], Sequence[Charge]],
    limit: float,
    delta: float,
    method: str = "pld",
    spent: Sequence[Charge] = (),
    most: int = 4096,
) -> int:
    """How many rounds, counted from 0, stay within ``limit``: what a person is told before training.

    Args:
        charges_of: round -> what it will be charged.
        spent: what was charged before.
        most: no more rounds are tried.
    """
    order = filter_order(limit, delta) if method == "filter" else None

    def fits(rounds: int) -> bool:
        planned = [charge for number in range(rounds) for charge in charges_of(number)]
        return within([*spent, *planned], limit, delta, method, order)

    low, high = 0, 1
    while high <= most and fits(high):
        low, high = high, 2 * high
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def multiplier_for(
    limit: float, delta: float, rounds: int, rate: float = 1.0, steps: int = 1, method: str = "pld"
) -> float:
    """The smallest constant multiplier, rounded up to 3 digits, with which ``rounds`` rounds stay within ``limit``."""
    from veilflow.components.privacy.schedule import round_up

    order = filter_order(limit, delta) if method == "filter" else None

    def fits(z: float) -> bool:
        return within([Charge(z, rate, steps * rounds)], limit, delta, method, order)

    return round_up(_smallest(fits, 0.05, 1.0))


def _smallest(fits: Callable[[float], bool], low: float, high: float) -> float:
    """The smallest value that fits, to half a percent; all above it do."""
    while not fits(high):
        low, high = high, 2 * high
    while high > 1.005 * low:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


@lru_cache(maxsize=512)
def _epsilon(groups: tuple[tuple[float, float, int], ...], delta: float, method: str, order: float | None) -> float:
    if method == "pld" and all(rate == 1.0 for _, rate, _ in groups):
        return gaussian_epsilon((z for z, _, n in groups for _ in range(n)), delta)
    events = []
    full = sum(n / z**2 for z, rate, n in groups if rate == 1.0)
    if full:
        events.append(dp_accounting.GaussianDpEvent(full**-0.5))
    for z, rate, n in groups:
        if rate < 1.0:
            sampled = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(z))
            events.append(dp_accounting.SelfComposedDpEvent(sampled, n))
    accountant = (
        PLDAccountant(value_discretization_interval=_INTERVAL)
        if method == "pld"
        else RdpAccountant(orders=[order] if method == "filter" else None)
    )
    for event in events:
        accountant.compose(event)
    return float(accountant.get_epsilon(delta))


def _require(delta: float, method: str) -> None:
    if not 0 < delta < 1:
        raise ComponentError(f"accountant: delta is {delta}; it must be between 0 and 1, below 1 / number of records.")
    if method not in METHODS:
        raise ComponentError(f"accountant: no method '{method}'; choose one of {', '.join(METHODS)}.")
