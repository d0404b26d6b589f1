"""Adaptive clipping: a bound that follows a quantile of the norms, learned under differential privacy.

Each client (or record) says whether its norm is within the bound; the noised share of those who say yes moves the bound
towards the quantile wanted. The count is a release of its own: `paid` gives the multiplier that both together cost.

Source: Andrew, Thakkar, McMahan, Ramaswamy 2021, arxiv.org/abs/1905.03871.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from veilflow.components.errors import ComponentError


@dataclass(frozen=True)
class Quantile:
    """Public settings.

    Args:
        target: the share of norms to be within the bound.
        rate: step of the bound's logarithm.
        multiplier: noise of the count, in units of its sensitivity (1: a vote is +1 or -1, and no vote 0).
        least, most: the bound stays within these.
    """

    target: float = 0.5
    rate: float = 0.2
    multiplier: float = 10.0
    least: float = 1e-6
    most: float = 1e6

    def __post_init__(self) -> None:
        if not (0 < self.target < 1 and self.rate > 0 and self.multiplier > 0 and 0 < self.least <= self.most):
            raise ComponentError(
                "quantile: target must be in (0, 1), rate and multiplier positive, and 0 < least <= most."
            )

    def next_bound(self, bound: float, noised_votes: float, voters: int) -> float:
        """The bound of the next round.

        Args:
            noised_votes: sum of votes plus noise of deviation ``multiplier``.
            voters: how many were asked: a public number (for Poisson batches the expected size).
        """
        share = min(1.0, max(0.0, (noised_votes / voters + 1) / 2))
        return min(self.most, max(self.least, bound * math.exp(-self.rate * (share - self.target))))


def vote(norm: float, bound: float) -> int:
    """+1 where ``norm`` is within ``bound``, else -1; a norm that is not finite is not."""
    return 1 if norm <= bound else -1


def paid(multiplier: float, count_multiplier: float) -> float:
    """The one multiplier that costs as much as releasing the update and the count together: charge this.

    Two Gaussian releases of the same data are one with 1/z^2 = 1/z1^2 + 1/z2^2.
    """
    return 1.0 / math.sqrt(multiplier**-2 + count_multiplier**-2)


def update_multiplier(total: float, count_multiplier: float) -> float:
    """The multiplier left for the update if both together may cost ``total``.

    Raises:
        ComponentError: the count alone costs that much.
    """
    left = total**-2 - count_multiplier**-2
    if left <= 0:
        raise ComponentError(
            f"quantile: the count's multiplier {count_multiplier} must be above the round's, {total}; else nothing is "
            "left for the update. Raise privacy/vote_noise."
        )
    return left**-0.5  # type: ignore[no-any-return]
