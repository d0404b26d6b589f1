"""How many people are common, with noise that is added while the count is still secret.

Computes     the number of people that both holders have, plus a whole number from each of them.
Adversary    semi-honest, one of the three parties.
Reveals      to all: the sum, or whether it reaches a threshold. Every holder knows its own noise, so the other's must
             be enough alone; the third party sees both.
Cost         that of `protocol` without columns, and 8 bytes per holder.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from veilflow.components.alignment.anonymous import key_agreement as keys
from veilflow.components.alignment.anonymous.interface import At
from veilflow.components.alignment.anonymous.spu_compare import replicated, steps
from veilflow.components.alignment.anonymous.spu_compare.protocol import Comparison


def noised(run: Comparison, holdings: Mapping[str, At], noise: Mapping[str, At]) -> dict[str, At]:
    """Shares of the count plus ``noise`` (holder -> a whole number, there): per party of the SPU uint64, shape (2,)."""
    run.look_up(holdings)
    total = run.count()
    for holder, drawn in noise.items():
        total = _add_private(run, total, holder, drawn)
    return total


def opened(run: Comparison, total: Mapping[str, At]) -> int:
    """The whole number behind shares; opened to all."""
    found = run.parties.publish({party: run.parties.run(party, _own_part, total[party]) for party in total})
    summed = sum(found.values()) % 2**64
    return int(summed - 2**64 if summed >= 2**63 else summed)


def _add_private(run: Comparison, total: Mapping[str, At], owner: str, number: At) -> dict[str, At]:
    """Shares of ``total`` plus ``owner``'s number: one other party gets it masked, the other one expands the mask."""
    place, ranks, rings = run.parties.run, run.plan.ranks, run.rings
    first, second = (party for party in run.everybody if party != owner)

    def split(ring: keys.Keyring, drawn: int) -> tuple[np.ndarray, np.ndarray]:
        known = steps.stream(ring, first, f"private number of {owner}", 0, (1, 1))[0]
        return np.array([drawn], np.int64).view(np.uint64) - known, known

    def expand(ring: keys.Keyring) -> np.ndarray:
        known: np.ndarray = steps.stream(ring, owner, f"private number of {owner}", 0, (1, 1))[0]
        return known

    def add(parts: np.ndarray, me: str, peers: list[str], *pieces: np.ndarray) -> np.ndarray:
        shares = replicated.from_parts(parts, ranks, me)
        summed = {peer: shares[peer] + piece[0] for peer, piece in zip(peers, pieces, strict=True)}
        found: np.ndarray = replicated.as_parts({**shares, **summed}, ranks, me)
        return found

    message, known = place(owner, split, rings[owner], number, returns=2)
    return {
        owner: place(owner, add, total[owner], owner, [second, first], message, known),
        first: place(first, add, total[first], first, [owner], place(first, expand, rings[first])),
        second: place(second, add, total[second], second, [owner], run.parties.send(second, message, "masked_noise")),
    }


def _own_part(parts: np.ndarray) -> int:
    return int(parts[0])
