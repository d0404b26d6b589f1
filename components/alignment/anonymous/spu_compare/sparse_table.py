"""A table of slots that gives a person's row as the sum of five slots, and looks random everywhere else.

Computes     `encode`: slots such that for each of n distinct IDs the slots at its `positions` (one in each of five
             parts) sum mod 2^64 to its row. Any other ID's slots sum to something unrelated.
Fails        where the rows cannot be solved one after the other: with a chance of at most 2^-40 over the key.
Cost         1.5 n slots (more below 70 000 rows, see `part_size`); 1 s per million rows of 15 columns.
Reference    Bloomier filters: Chazelle, Kilian, Rubinfeld and Tal, SODA 2004. As an oblivious key-value store:
             Garimella, Pinkas, Rosulek, Trieu and Yanai, CRYPTO 2021. Peeling threshold for five positions 0.7018:
             Molloy 2005.

This stands where the paper's algorithm has bins: a person of one side is compared with what stands at its places in the
other side's hash table. With a cuckoo table and simple hashing, bins of up to a dozen people are compared each with one
person, 12 comparisons per row. Here the five places are added before, and one comparison per row is left.

Five positions instead of three: two IDs with the same positions cannot be told apart. For three that happens with a
chance of 13.5 n^2 / slots^3, 2^-17 at a million.
"""

from __future__ import annotations

import numpy as np

from veilflow.components.alignment.anonymous.packed_ids import PackedIds, tags
from veilflow.components.errors import ComponentError

PARTS = 5
_LOAD = 0.3
"""Slots of one part per row."""
_FAILURE_BITS = 40


def part_size(rows: int) -> int:
    """Slots in each part: 0.3 n for the peeling threshold, and enough that no two IDs share all five positions.

    The chance of such a pair is at most rows^2 / (2 size^5) <= 2^-41; larger obstacles are rarer still.
    """
    apart = (rows * rows * 2.0**_FAILURE_BITS) ** (1 / PARTS)
    return max(1, int(np.ceil(max(_LOAD * rows, apart))))


def positions(ids: PackedIds, keys: tuple[bytes, bytes], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Tags and slots of IDs.

    Args:
        keys: two independent keys of 32 bytes.
        size: slots in each part, below 2^32.

    Returns:
        uint64, shape (n,): 64-bit tags; int64, shape (n, 5): slots, each counted within its part. Both are
        pseudo-random to whoever lacks the keys.
    """
    one, other = tags(ids, keys[0]), tags(ids, keys[1])
    words = np.concatenate([one[:, 1:], other], axis=1).view(np.uint32)[:, :PARTS]
    # Of 32 bits: the positions' chances differ by at most size / 2^32, the same way for everybody.
    return one[:, 0], ((words.astype(np.uint64) * np.uint64(size)) >> np.uint64(32)).astype(np.int64)


def encode(slots: np.ndarray, size: int, rows: np.ndarray) -> np.ndarray:
    """The table for IDs at ``slots`` (int64, shape (n, 5)) with ``rows`` (uint64, shape (n, w)).

    Returns:
        uint64, shape (5, size, w); slots that nobody needs are 0.

    Raises:
        ComponentError: the rows cannot be solved; another key will do.
    """
    everywhere = slots + np.arange(PARTS) * size
    table = np.zeros((PARTS * size, rows.shape[1]), np.uint64)
    for chosen, own in reversed(_peel(everywhere, PARTS * size)):
        rest = rows[chosen]
        for part in range(PARTS):
            rest = rest - table[everywhere[chosen, part]]  # the own slot is still 0
        table[own] = rest
    return table.reshape(PARTS, size, rows.shape[1])


def look_up(part: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """One part's contribution to the sums: uint64, shape (n, w)."""
    found: np.ndarray = part[slots]
    return found


def _peel(slots: np.ndarray, total: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rounds of (rows, for each a slot that only it uses by then); rows of one round do not use each other's."""
    count = len(slots)
    users = np.bincount(slots.ravel(), minlength=total)
    # The sum of a slot's users is the user itself once one is left; below 2^53 float64 sums are exact.
    who = np.bincount(slots.ravel(), np.repeat(np.arange(count, dtype=np.float64), PARTS), total).astype(np.int64)
    rounds, done = [], 0
    single = np.flatnonzero(users == 1)
    while len(single):
        chosen, first = np.unique(who[single], return_index=True)
        rounds.append((chosen, single[first]))
        done += len(chosen)
        touched = slots[chosen].ravel()
        np.subtract.at(users, touched, 1)
        np.subtract.at(who, touched, np.repeat(chosen, PARTS))
        single = np.unique(touched[users[touched] == 1])
    if done != count:
        raise ComponentError("the hash table could not be filled, which happens once in 2^40 runs; run again.")
    return rounds
