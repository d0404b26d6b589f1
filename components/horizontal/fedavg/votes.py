"""The bound of clipping follows a quantile of the norms: one more coordinate in the secure sum, paid for in the budget.

Unit ``record``: in every local step each row of the batch votes +1 (its gradient is within the bound) or -1, and noise
is added to the step's count. Unit ``client``: each client votes on its update. What travels is the client's noised
share of yes over no, as a whole number; the sum alone is seen, and moves the bound of the next round at everybody
alike.

Sensitivity  1 per step (record), 1 per round (client): a vote is there or not. A step's gradient and count together
             cost `quantile.paid`.
Not covered  under unit ``record`` a client that lies about its count.
Reference    Andrew et al. 2021, arxiv.org/abs/1905.03871.
"""

from veilflow.components.horizontal.fedavg.settings import Privacy, Settings
from veilflow.components.privacy.noise import MAX_SIGMA, discrete_gaussian
from veilflow.components.privacy.quantile import Quantile, paid, update_multiplier
from veilflow.components.privacy.release import CAP
from veilflow.components.privacy.schedule import round_up

_REACH = 1e4
"""The bound stays within so many times its first value."""


def charged(privacy: Privacy, multiplier: float) -> float:
    """The multiplier that a step (or round) costs, its votes included."""
    return paid(multiplier, privacy.vote_noise) if privacy.voting else multiplier


def left(privacy: Privacy, total: float) -> float:
    """The multiplier of the gradients where they and their votes may cost what ``total`` costs.

    Raises:
        ComponentError: the votes alone cost more.
    """
    return round_up(update_multiplier(total, privacy.vote_noise)) if privacy.voting else total


def first_bound(settings: Settings) -> float:
    """What the first round clips to: rows' gradients, or under unit ``client`` the update."""
    return settings.guard.update_norm if settings.privacy.unit == "client" else settings.row_bound


def next_bound(bound: float, share: float, settings: Settings) -> float:
    """The bound after a round in which ``share`` (-1 to 1) of the votes said yes rather than no."""
    start = first_bound(settings)
    rule = Quantile(settings.privacy.adaptive_clip, least=start / _REACH, most=start * _REACH)
    return rule.next_bound(bound, share, 1)


def encode(share: float, privacy: Privacy, bound: int) -> int:
    """A client's vote as a whole number of at most ``bound``; here noise is added where the unit is ``client``.

    All clients' votes count alike, whatever the weights of their updates.
    """
    worth = _worth(privacy, bound)
    if privacy.unit == "record":
        return round(min(1.0, max(-1.0, share)) * worth)
    noised = round(share) * worth + int(discrete_gaussian(1, privacy.vote_noise * worth)[0])
    return min(bound, max(-bound, noised))


def decode(total: int, privacy: Privacy, bound: int, clients: int) -> float:
    """The mean of the clients' shares behind their sum."""
    return float(total) / (clients * _worth(privacy, bound))


def _worth(privacy: Privacy, bound: int) -> int:
    """Whole numbers per vote; with noise there must be room for most of it, the rest saturates."""
    if privacy.unit == "record":
        return bound
    return max(1, int(min(bound / (1 + CAP * privacy.vote_noise), MAX_SIGMA / privacy.vote_noise)))
