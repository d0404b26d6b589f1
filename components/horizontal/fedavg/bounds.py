"""What a round clips to, and how that follows the rounds before it: read off noised sums, so public and free.

Every party works the bounds out for itself. Two of them move: what rows' gradients (or, under unit ``client``, updates)
are clipped to, by votes (`votes`, paid for); and how long an update may be that travels, by the sum itself. The second
one is there for the grid: eight bits are enough where the bound is near the updates' real length, and nowhere else.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from veilflow.components.horizontal.fedavg import votes
from veilflow.components.horizontal.fedavg.codec import Share, mean_norm
from veilflow.components.horizontal.fedavg.settings import Settings
from veilflow.components.privacy.release import Release

_SHRINK, _LEAST = 0.25, 1e-6


@dataclass(frozen=True)
class Bounds:
    """Of one round."""

    clip: float
    """What rows' gradients are clipped to, or under unit ``client`` updates: see `votes`."""
    update: float
    """L2 bound of an update, on the coordinates that travel."""


def first(settings: Settings) -> Bounds:
    """Of the first round."""
    return Bounds(votes.first_bound(settings), settings.guard.update_norm)


def after(
    bounds: Bounds, settings: Settings, release: Release, total: np.ndarray, shares: Mapping[str, Share]
) -> tuple[Bounds, float]:
    """Of the round that follows one with the sum ``total`` (votes at its end), and the norm of its mean update."""
    privacy, clip = settings.privacy, bounds.clip
    norm = mean_norm(release, total[: release.size], shares)
    update = _following(settings, bounds.update, norm, len(shares))
    if privacy.voting:
        share = votes.decode(int(total[-1]), privacy, release.bound, len(shares))
        clip = votes.next_bound(clip, share, settings)
        update = clip if privacy.unit == "client" else update
    return Bounds(clip, update), norm


def _following(settings: Settings, bound: float, norm: float, clients: int) -> float:
    """`Guard.follow` times the length of one client's update.

    Updates of ``clients`` clients that have nothing in common have a mean as long as one of them over sqrt(clients);
    those that agree have a longer one, so this errs upwards. Where updates are cut off at the bound, the mean is nearly
    as long as it, and the next bound is larger: it finds its way up again. Noise of unit ``client`` would be taken for
    updates: there the bound stays, or follows votes.
    """
    guard = settings.guard
    if not guard.follow or settings.privacy.unit == "client":
        return bound
    wanted = guard.follow * norm * math.sqrt(clients)
    return min(guard.update_norm, max(wanted, _SHRINK * bound, _LEAST * guard.update_norm))
