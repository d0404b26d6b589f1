"""What a training costs in privacy, planned before the first row is read and charged before anything is released.

record   one row of one client; local DP-SGD with Poisson batches. Rows of different clients are different people, so
         the total is the largest of the clients' (a person in k banks pays k times).
client   one client's whole update per round; with a handful of clients mostly a label.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg import votes
from veilflow.components.horizontal.fedavg.batches import sampling_rate, steps_per_round
from veilflow.components.horizontal.fedavg.settings import Settings
from veilflow.components.privacy.accountant import Charge, epsilon, filter_order, multiplier_for, rounds_possible
from veilflow.components.privacy.ledger import Budget, BudgetExceeded, BudgetTerms
from veilflow.components.privacy.schedule import Schedule, round_up

ChargesOf = Callable[[int], Sequence[Charge]]
MOST_NOISE = 200.0
MOST_STRETCH = 2.0


class Budgets(Protocol):
    """The clients' ledgers (see `fedavg_train.accounts`)."""

    def __bool__(self) -> bool: ...

    def items(self) -> Iterable[tuple[str, Any]]: ...

    def remember(self, after: Mapping[str, Any]) -> None: ...


def exposure(settings: Settings, rows: int) -> tuple[float, int]:
    """(rate, steps) of one client's round: how often it releases, each time on which share of its rows."""
    if settings.privacy.unit == "client":
        return 1.0, 1
    local = settings.local
    return sampling_rate(rows, local.batch), steps_per_round(rows, min(local.batch, rows), local.epochs)


def multipliers(settings: Settings, rows: Mapping[str, int]) -> list[float]:
    """The noise of every round, the same for all clients; empty without privacy.

    Raises:
        ComponentError: the budget allows no sensible noise, or delta is no protection.
    """
    privacy = settings.privacy
    if privacy.unit == "none":
        return []
    units = len(rows) if privacy.unit == "client" else max(rows.values())
    if privacy.delta * units >= 1:
        raise ComponentError(
            f"privacy/delta is {privacy.delta:g}: with {units} {privacy.unit}s that allows one of them to be told as a "
            f"whole. It must be well below {1 / units:.2g}."
        )
    first = privacy.noise
    if not first and privacy.schedule == "constant":
        least = max(_least(settings, *part) for part in _largest({exposure(settings, n) for n in rows.values()}))
        first = votes.left(privacy, least)
        if first > MOST_NOISE:
            raise ComponentError(
                f"privacy/epsilon {privacy.epsilon:g} for {settings.rounds} rounds needs noise of {first:.3g} times "
                f"the sensitivity; nothing is learned from that. With {MOST_NOISE:g} times, "
                f"{_possible(settings, rows)} rounds are possible. Ask for fewer rounds or a larger epsilon."
            )
    return schedule(settings, first).multipliers(settings.rounds)


def _possible(settings: Settings, rows: Mapping[str, int]) -> int:
    """Rounds that the most noise allows all clients."""
    privacy, found = settings.privacy, []
    for rate, steps in {exposure(settings, count) for count in rows.values()}:

        def costs(_: int, cost: Charge = Charge(MOST_NOISE, rate, steps)) -> list[Charge]:  # noqa: B008 - this round's
            return [cost]

        found.append(rounds_possible(costs, privacy.epsilon, privacy.delta, "rdp", (), settings.rounds))
    return min(found)


def schedule(settings: Settings, first: float = 0.0) -> Schedule:
    """The noise over the rounds; ``first`` where the settings leave it open."""
    privacy = settings.privacy
    first = first or privacy.noise or 1.0
    by_round = {number - 1: noise for number, noise in privacy.by_round}
    last = max(privacy.noise_last, first)
    return Schedule(privacy.schedule, first, last, settings.rounds, by_round, privacy.first_floor)


def _largest(parts: set[tuple[float, int]]) -> list[tuple[float, int]]:
    """Exposures that no other one exceeds in both rate and steps: only these can be the costliest."""
    return [part for part in parts if not any(o != part and o[0] >= part[0] and o[1] >= part[1] for o in parts)]


def _least(settings: Settings, rate: float, steps: int) -> float:
    """The smallest constant multiplier, to 0.5 %, that keeps all rounds within epsilon.

    The Renyi accountant is fast and a little pessimistic: its answer bounds the exact one, which a few evaluations of
    the slow accountant (about a second each) then find, epsilon being nearly a power of the multiplier.
    """
    privacy, count = settings.privacy, steps * settings.rounds + _room(settings, steps)

    def cost(z: float) -> float:
        return epsilon([Charge(z, rate, count)], privacy.delta)

    if rate >= 1:
        return multiplier_for(privacy.epsilon, privacy.delta, 1, rate, count)
    high = multiplier_for(privacy.epsilon, privacy.delta, 1, rate, count, "rdp")
    if high > 1.5 * MOST_NOISE:
        return high  # refused in any case: not worth a more exact figure, which takes long
    low = 0.8 * high
    at_low, at_high = cost(low), cost(high)
    for _ in range(4):
        if at_low <= privacy.epsilon:
            return round_up(low)
        slope = math.log(at_low / at_high) / math.log(high / low)
        guess = high * (at_high / privacy.epsilon) ** (1 / slope) * 1.001 if slope > 0 else (low + high) / 2
        guess = min(max(guess, low * 1.002), high * 0.998)
        found = cost(guess)
        low, at_low, high, at_high = (
            (low, at_low, guess, found) if found <= privacy.epsilon else (guess, found, high, at_high)
        )
        if high - low <= 0.005 * high or privacy.epsilon - at_high <= 0.005 * privacy.epsilon:
            break
    return round_up(high)


def _room(settings: Settings, steps: int) -> int:
    """Steps that are held ready for one interruption: the rounds since a checkpoint are paid again, with up to
    `MOST_STRETCH` times the noise. Twice the noise costs a quarter, or less (the Renyi bound of a Poisson sample is
    convex in 1 / z**2)."""
    return math.ceil(steps * min(settings.checkpoint_every, settings.rounds) / MOST_STRETCH**2)


def charge_of(settings: Settings, rows: int, noise: float) -> list[Charge]:
    """What one round with this noise costs a client with ``rows`` rows, votes for an adaptive bound included."""
    rate, steps = exposure(settings, rows)
    return [Charge(votes.charged(settings.privacy, noise), rate, steps)]


def charges(settings: Settings, rows: int, noises: Sequence[float]) -> ChargesOf:
    """Round -> what a client with ``rows`` rows is charged for it."""
    return lambda number: charge_of(settings, rows, noises[min(number, len(noises) - 1)])


def terms(settings: Settings) -> BudgetTerms:
    """What the ledger counts, and how: noise that follows outputs needs a filter."""
    privacy = settings.privacy
    found = BudgetTerms(privacy.unit, privacy.delta, privacy.epsilon, "filter" if adaptive(settings) else "pld")
    found.check_schedule(not adaptive(settings), 0.5 if privacy.unit == "record" else 1.0)
    return found


def adaptive(settings: Settings) -> bool:
    """Whether a round's noise is decided from the rounds before it."""
    return settings.privacy.schedule == "adaptive" and settings.privacy.unit != "none"


def affordable(settings: Settings, rows: Mapping[str, int], noises: Sequence[float]) -> bool:
    """Whether rounds with these noises stay within epsilon at every client, for a run without a ledger."""
    return all(cost <= settings.privacy.epsilon for cost in spent(settings, rows, noises, len(noises)).values())


def require_rounds(budget: Budget, of: ChargesOf, settings: Settings, done: int = 0) -> None:
    """Refuse a training that its budget does not cover, before it begins.

    An adaptive schedule must cover its next round; how many follow is known when they have been charged.

    Raises:
        BudgetExceeded: with the number of rounds possible.
    """
    left = settings.rounds - done
    if adaptive(settings):
        budget.require_rounds(lambda number: of(number + done), min(1, left))
        return
    planned = [charge for number in range(done, settings.rounds) for charge in of(number)]
    if budget.allows(planned):
        return
    budget.require_rounds(lambda number: of(number + done), left)


def stretched(budget: Budget, rows: int, settings: Settings, noises: Sequence[float], done: int) -> float:
    """By what the noise of the rounds after ``done`` must grow to fit what is left of the budget, to 6 %; 1 if no
    growth helps.

    A training that was interrupted pays for some rounds twice. Where the noise was chosen to use the budget up, this is
    what lets it end.
    """

    def fits(factor: float) -> bool:
        of = charges(settings, rows, [factor * z for z in noises])
        return budget.allows([charge for number in range(done, settings.rounds) for charge in of(number)])

    if adaptive(settings) or not budget.touched or fits(1.0) or not fits(MOST_STRETCH):
        return 1.0
    low, high = 1.0, MOST_STRETCH
    while high - low > 0.07:  # an evaluation takes a second or more
        middle = (low + high) / 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def spent(settings: Settings, rows: Mapping[str, int], noises: Sequence[float], done: int) -> dict[str, float]:
    """Epsilon of each client after ``done`` rounds, for a run without a ledger; empty without privacy."""
    if not noises:
        return {}
    privacy, method = settings.privacy, terms(settings).method
    order = filter_order(privacy.epsilon, privacy.delta) if method == "filter" else None
    found = {}
    for party, count in rows.items():
        of = charges(settings, count, noises)
        found[party] = epsilon([c for number in range(done) for c in of(number)], privacy.delta, method, order)
    return found


__all__ = [
    "Budget",
    "BudgetExceeded",
    "adaptive",
    "affordable",
    "charge_of",
    "charges",
    "multipliers",
    "require_rounds",
    "schedule",
    "spent",
    "stretched",
    "terms",
]
