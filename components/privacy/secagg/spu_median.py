"""Entry-wise median inside an SPU: what one liar among three clients cannot move beyond the other two.

Computes     the coordinator learns n times the median of the n clients' values, entry by entry, exactly; of an even
             number the mean of the middle two, as `numpy.median`. (n times, so that it is divided like a sum.)
Adversary    as `spu_sum`; besides, a minority of clients may send any vector within the bound: each entry of the median
             lies between two entries of honest clients.
Reveals      to the coordinator: the median, who took part, its length. With an odd number of clients every entry is
             some client's own; it is not told whose, but a client that is sent the median knows its own values, and
             so which entries are another's. Noise of a client is in its own entry in full: a claim of
             differential privacy that holds for each client's vector holds for the median (post-processing), but noise
             that is shared among clients does not add up here.
Not covered  weights: a median counts heads. Clients that agree on a direction each within honest clients' range.
Assumes      as `spu_sum`. Values are whole and fit into 31 bits: one comparison each, no fixed point.
Cost         shares as `spu_sum` with one limb; then a sorting network: 3 comparisons per entry for 3 clients, 9 for 5.
Reference    Yin et al. 2018, "Byzantine-Robust Distributed Learning" (coordinate-wise median).
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from veilflow.components.errors import ComponentError

LARGEST = 1 << 30
"""A sum of two values fits an int32."""


def require_fit(bound: int) -> None:
    """Refuse values that a comparison would not see as they are.

    Raises:
        ComponentError: with what to change.
    """
    if bound >= LARGEST:
        raise ComponentError("secure sum: a median compares values of up to 30 bits; lower guard/bits.")


def middle(*values: Any) -> tuple[Any]:
    """int32 arrays of one shape, ``(1, d)`` or ``(d,)`` -> twice their entry-wise median, so that it stays whole.

    Odd-even transposition: n passes of comparisons between neighbours; of the last passes only what the middle needs.
    """
    ranked, n = list(values), len(values)
    for pair in _comparisons(n):
        low, high = ranked[pair], ranked[pair + 1]
        ranked[pair] = jnp.where(low < high, low, high)
        ranked[pair + 1] = low + high - ranked[pair]
    return (ranked[(n - 1) // 2] + ranked[n // 2],)


def _comparisons(n: int) -> list[int]:
    """Left positions of neighbours to compare, in order; those that cannot reach the middle are left out."""
    network = [left for step in range(n) for left in range(step % 2, n - 1, 2)]
    wanted, kept = {(n - 1) // 2, n // 2}, []
    for left in reversed(network):
        if wanted & {left, left + 1}:
            wanted |= {left, left + 1}
            kept.append(left)
    return kept[::-1]


def as_sum(twice: np.ndarray, clients: int) -> np.ndarray:
    """``clients`` times the median, int64: whole, for an odd number as for an even one."""
    total = twice.reshape(-1).astype(np.int64) * clients
    assert not (total % 2).any(), "twice an entry, or a pair's sum times an even number"
    halved: np.ndarray = total // 2
    return halved
