"""Privacy of a whole training: what it costs, and what is possible, told before the first row is read.

Unit          one row of one client. Rows of different clients are different people: the total is the largest of the
              clients' (a person in k banks pays k times).
Neighbours    a row is replaced by nothing, with row counts public (``zero-out``).
Mechanism     Poisson batches, per-example clipping, Gaussian noise; all steps of all rounds compose. Batches are drawn
              secretly at the client.
Not covered   row counts, schema, fitted rules, the reference rows, the choice of settings, the time a client takes.
Reference     dp-accounting's privacy loss distributions (pessimistic, discretised at 1e-4).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dp_accounting
from dp_accounting.pld import PLDAccountant

from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg.batches import sampling_rate, steps_per_round
from veilflow.components.horizontal.fedavg.settings import Settings

_MOST_NOISE = 200.0


@dataclass(frozen=True)
class Exposure:
    """One client's part in a round."""

    rate: float
    """Probability with which a step takes a row."""
    steps: int
    """Local steps per round."""


def epsilon(exposure: Exposure, noises: Sequence[float], delta: float) -> float:
    """Epsilon after rounds with these noise multipliers; equal ones are grouped, their order does not matter."""
    if not noises:
        return 0.0
    if min(noises) <= 0:
        return float("inf")
    accountant = PLDAccountant()
    for noise, rounds in sorted(Counter(noises).items()):
        event = dp_accounting.GaussianDpEvent(noise)
        if exposure.rate < 1:
            event = dp_accounting.PoissonSampledDpEvent(exposure.rate, event)
        accountant.compose(event, rounds * exposure.steps)
    return float(accountant.get_epsilon(delta))


def least_noise(exposure: Exposure, rounds: int, target: float, delta: float) -> float:
    """The smallest constant multiplier, to 1 %, with which ``rounds`` rounds stay within ``target``.

    Raises:
        ComponentError: not even `_MOST_NOISE` is enough; says how many rounds are possible.
    """
    low, high = 0.0, 1.0
    while epsilon(exposure, [high] * rounds, delta) > target:
        low, high = high, 2 * high
        if low > _MOST_NOISE:
            possible = possible_rounds(exposure, [_MOST_NOISE] * rounds, target, delta)
            raise ComponentError(_impossible(target, rounds, possible))
    while high - low > 0.01 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if epsilon(exposure, [middle] * rounds, delta) <= target else (middle, high)
    return high


def possible_rounds(exposure: Exposure, noises: Sequence[float], target: float, delta: float) -> int:
    """How many of the planned rounds stay within ``target``."""
    low, high = 0, len(noises)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if epsilon(exposure, noises[:middle], delta) <= target else (low, middle - 1)
    return low


def require_possible(exposure: Exposure, noises: Sequence[float], target: float, delta: float) -> None:
    """Refuse a plan that would overrun.

    Raises:
        ComponentError: with the number of rounds that are possible.
    """
    if epsilon(exposure, noises, delta) > target:
        raise ComponentError(_impossible(target, len(noises), possible_rounds(exposure, noises, target, delta)))


def plan_privacy(settings: Settings, rows: Mapping[str, int]) -> tuple[dict[str, Exposure], list[float]]:
    """Each client's exposure, and the noise multiplier of every round; both empty without privacy.

    Raises:
        ComponentError: the budget does not last; says for how many rounds it does.
    """
    protect, local = settings.privacy, settings.local
    if protect.unit == "none":
        return {}, []
    exposures = {
        party: Exposure(sampling_rate(n, local.batch), steps_per_round(n, min(local.batch, n), local.epochs))
        for party, n in rows.items()
    }
    worst = max(exposures.values(), key=lambda each: each.rate * each.rate * each.steps)
    noise = protect.noise or least_noise(worst, settings.rounds, protect.epsilon, protect.delta)
    noises = [noise] * settings.rounds
    for exposure in set(exposures.values()):
        require_possible(exposure, noises, protect.epsilon, protect.delta)
    return exposures, noises


def _impossible(target: float, rounds: int, possible: int) -> str:
    return (
        f"privacy/epsilon {target:g} does not last for {rounds} rounds with these settings; it lasts for {possible}. "
        "Ask for fewer rounds, more noise, smaller batches, or a larger epsilon."
    )
