"""Who takes part in which round: partial participation and bounded staleness. Public, and the same at every party."""

import hashlib
import math
from collections.abc import Mapping, Sequence

STALENESS_POWER = 0.5


def chosen(tokens: Sequence[bytes], clients: Sequence[str], share: float, least: int = 1) -> list[str]:
    """The clients of a round, in their usual order: ``ceil(share * n)`` of them, at least ``least``.

    Args:
        tokens: randomness of every client, so that nobody chooses alone.
    """
    count = max(least, math.ceil(share * len(clients) - 1e-9))
    ranked = sorted(clients, key=lambda party: hashlib.sha256(b"".join([*tokens, party.encode()])).digest())
    taken = set(ranked[:count])
    return [party for party in clients if party in taken]


def begins(party: str, number: int, slow: Mapping[str, int]) -> bool:
    """Whether ``party`` starts a new local training in round ``number`` (from 0)."""
    return number % slow.get(party, 1) == 0


def staleness_weight(staleness: int, bound: int) -> float:
    """``(1 + staleness)**-0.5``; 0 beyond ``bound``. Staleness is the number of rounds the start model is old.

    Reference  Xie et al. 2019, "Asynchronous Federated Optimization" (polynomial form).
    """
    return 0.0 if staleness > bound else (1.0 + staleness) ** -STALENESS_POWER
