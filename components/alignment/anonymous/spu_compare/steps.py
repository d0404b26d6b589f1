"""What each of the three roles does, on arrays: the *teller* fills a table, the *helper* keeps it, the *asker* asks.

The table's mask is a stream that teller and asker have in common. What the helper finds at an asked person's slots and
the mask's values there are two halves of the teller's row of that person, if there is one; of its tag first of all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from veilflow.components.alignment.anonymous import prg
from veilflow.components.alignment.anonymous.interface import Holding
from veilflow.components.alignment.anonymous.key_agreement import Keyring
from veilflow.components.alignment.anonymous.permutation import random_order
from veilflow.components.alignment.anonymous.spu_compare import sparse_table

_MASK = "table mask"


@dataclass
class Asked:
    """The asker's state, in its private random order."""

    slots: np.ndarray
    """uint32, shape (n, 5); pseudo-random to the helper, who gets them."""
    values: np.ndarray
    """uint64, shape (n, own columns)."""
    halves: np.ndarray
    """uint64, shape (n, 1 + the teller's columns): minus the mask at the slots, minus the tag in column 0."""


def masked_table(holding: Holding, ring: Keyring, asker: str) -> list[np.ndarray]:
    """At the teller: the five parts of its table, each masked, for the helper: uint64, shape (size, 1 + columns)."""
    size = sparse_table.part_size(len(holding.ids))
    tags, slots = sparse_table.positions(holding.ids, _id_keys(ring, asker), size)
    rows = np.concatenate([tags[:, None], holding.values], axis=1)
    table = sparse_table.encode(slots, size, rows)
    for part in range(sparse_table.PARTS):
        table[part] += prg.rows(ring.key(asker, _MASK, str(part)), 0, size, table.shape[2])
    return list(table)


def ask(holding: Holding, ring: Keyring, teller: str, size: int, width: int) -> Asked:
    """At the asker: its people in a new order, their slots in the teller's table, and its halves.

    Args:
        size: slots in each part of the teller's table.
        width: columns of the teller's rows, the tag included.
    """
    order = random_order(len(holding.ids))
    tags, slots = sparse_table.positions(holding.ids.take(order), _id_keys(ring, teller), size)
    halves = np.zeros((len(order), width), np.uint64)
    for part in range(sparse_table.PARTS):
        mask = prg.rows(ring.key(teller, _MASK, str(part)), 0, size, width)
        halves -= sparse_table.look_up(mask, slots[:, part])
    halves[:, 0] -= tags
    return Asked(slots.astype(np.uint32), holding.values[order], halves)


def answer(found: np.ndarray | None, part: np.ndarray, slots: np.ndarray, number: int) -> np.ndarray:
    """At the helper: what it has found so far, and what part ``number`` adds to it."""
    here = sparse_table.look_up(part, slots[:, number])
    return here if found is None else found + here


def _id_keys(ring: Keyring, peer: str) -> tuple[bytes, bytes]:
    return ring.key(peer, "tags and slots", "0"), ring.key(peer, "tags and slots", "1")


def stream(ring: Keyring, peer: str, use: str, block: int, shape: tuple[int, int]) -> np.ndarray:
    """What ``ring``'s party and ``peer`` both expand for one use in one block."""
    return prg.rows(ring.key(peer, use, str(block)), 0, *shape)
