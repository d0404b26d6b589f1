"""The holder's part: pseudonyms and masked rows, both in one private random order."""

from __future__ import annotations

import numpy as np

from veilflow.components.alignment.anonymous import prg
from veilflow.components.alignment.anonymous.interface import Holding
from veilflow.components.alignment.anonymous.packed_ids import tags
from veilflow.components.alignment.anonymous.permutation import random_order


def shuffled_pseudonyms(holding: Holding, group_key: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Pseudonyms for the coordinator, and the order they are in, which stays here.

    Returns:
        uint64, shape (people, 2); and int64, shape (people,): which row stands at each place.
    """
    order = random_order(len(holding.ids))
    return tags(holding.ids, group_key)[order], order


def masked_rows(values: np.ndarray, order: np.ndarray, key: bytes, start: int, stop: int) -> np.ndarray:
    """Places ``start`` to ``stop`` of the private order, for the helper: uint64, shape (stop - start, columns).

    Args:
        values: ring elements, shape (people, columns).
        key: of the owner and the coordinator, for this use only.
    """
    rows: np.ndarray = np.take(values, order[start:stop], axis=0)
    prg.subtract(rows, key, start)
    return rows
