"""What each client's update is worth: Shapley values over coalitions, and cheaper relatives.

A coalition's value is how much its mean update lowers the loss on reference rows. Coalitions are weighted equally or by
the weights in force, never by a size a client reports of itself.

Cost  exact Shapley: 2**n evaluations of the model on the reference rows (8 for three clients); truncated Monte-Carlo:
      at most ``permutations * n``; leave-one-out: n + 1.
Reference  Ghorbani & Zou 2019 (truncated Monte-Carlo); Jia et al. 2019. Lagged, bounded use: see `weights`.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

Value = Callable[[frozenset[str]], float]
"""Worth of a coalition; of the empty one 0."""


def shapley(clients: Sequence[str], value: Value) -> dict[str, float]:
    """Exact Shapley values.

    Guarantees (tests): they sum to the grand coalition's value; equal clients get equal values; a client that adds
    nothing to any coalition gets 0.
    """
    n = len(clients)
    worth = {
        frozenset(some): value(frozenset(some)) for k in range(n + 1) for some in itertools.combinations(clients, k)
    }
    found = dict.fromkeys(clients, 0.0)
    for some, before in worth.items():
        share = (
            math.factorial(len(some)) * math.factorial(n - len(some) - 1) / math.factorial(n) if len(some) < n else 0
        )
        for client in clients:
            if client not in some:
                found[client] += share * (worth[some | {client}] - before)
    return found


def monte_carlo(
    clients: Sequence[str], value: Value, permutations: int, rng: np.random.Generator, tolerance: float = 0.0
) -> dict[str, float]:
    """Truncated Monte-Carlo Shapley values: a permutation ends where the rest could add at most ``tolerance``."""
    known: dict[frozenset[str], float] = {}

    def worth(some: frozenset[str]) -> float:
        if some not in known:
            known[some] = value(some)
        return known[some]

    everybody = worth(frozenset(clients))
    total = dict.fromkeys(clients, 0.0)
    for _ in range(permutations):
        some: frozenset[str] = frozenset()
        reached = worth(some)
        for client in rng.permutation(np.asarray(clients, dtype=object)):
            if tolerance and abs(everybody - reached) < tolerance:
                break
            some = some | {str(client)}
            total[str(client)] += worth(some) - reached
            reached = worth(some)
    return {client: found / permutations for client, found in total.items()}


def leave_one_out(clients: Sequence[str], value: Value) -> dict[str, float]:
    """What is lost without each client. A copied update scores 0 for both copies."""
    everybody = frozenset(clients)
    whole = value(everybody)
    return {client: whole - value(everybody - {client}) for client in clients}


def alone(clients: Sequence[str], value: Value) -> dict[str, float]:
    """Data quality as seen on the reference rows: what each client's update is worth by itself."""
    return {client: value(frozenset({client})) for client in clients}


def coalition_value(updates: Mapping[str, np.ndarray], start: np.ndarray, loss: Callable[[np.ndarray], float]) -> Value:
    """Fall of ``loss`` when the plain mean of a coalition's updates is added to ``start``.

    A loss that is not finite counts as a rise by 10.
    """
    before = loss(start)

    def value(some: frozenset[str]) -> float:
        if not some:
            return 0.0
        mean = np.mean([updates[client] for client in sorted(some)], axis=0)
        after = loss((start + mean).astype(np.float32))
        return before - after if math.isfinite(after) else -10.0

    return value


def share_among_copies(
    scores: Mapping[str, float],
    updates: Mapping[str, np.ndarray],
    cosine: float = 0.999,
    rounding: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Scores, with each group of near-equal updates paid as one client: its mean score, split among the group.

    Two clients that train on their own rows do not agree to one in a thousand; one that copies another does, but for
    the rounding of each.

    Args:
        rounding: per client the mean square of the L2 error that rounding leaves in its update.
    """
    found, seen = {}, set()
    error = rounding or dict.fromkeys(scores, 0.0)

    def alike(one: str, other: str) -> bool:
        if _cosine(updates[one], updates[other]) >= cosine:
            return True
        # Twice the mean: a sum over many coordinates does not reach that by chance.
        apart = float(np.sum((updates[one].astype(np.float64) - updates[other]) ** 2))
        return apart <= 2 * (error[one] + error[other])

    for client in scores:
        if client in seen:
            continue
        group = [other for other in scores if other not in seen and alike(client, other)]
        group = group or [client]
        seen.update(group)
        for member in group:
            found[member] = float(np.mean([scores[each] for each in group])) / len(group)
    return {client: found[client] for client in scores}


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    if one is other:
        return 1.0
    lengths = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return float(one @ other) / lengths if lengths > 0 else 0.0
