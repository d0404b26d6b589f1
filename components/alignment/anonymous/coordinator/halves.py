"""The two halves of an owner's matched rows, and what helper and carrier open to each other; blocks of rows."""

from __future__ import annotations

import numpy as np

from veilflow.components.alignment.anonymous import prg
from veilflow.components.alignment.anonymous.ring import FRACTION_BITS


def helper_half(positions: np.ndarray, *blocks: np.ndarray) -> np.ndarray:
    """The matched rows of an owner's masked list: uint64, shape (len(positions), columns).

    Args:
        positions: in the list.
        blocks: the list, in consecutive blocks of the same number of rows (the last one may have fewer).
    """
    size = max(1, len(blocks[0]))
    half = np.empty((len(positions), blocks[0].shape[1]), np.uint64)
    at = positions // size
    for number, block in enumerate(blocks):
        rows = np.flatnonzero(at == number)
        half[rows] = block[positions[rows] - number * size]
    return half


def coordinator_half(key: bytes, positions: np.ndarray, width: int) -> np.ndarray:
    """The mask of the same rows, made from the key of owner and coordinator."""
    return prg.rows_at(key, positions, width)


def member_half(member: np.ndarray, key: bytes, start: int) -> np.ndarray:
    """The membership column minus the helper's half of it, which is the stream of ``key``."""
    value: np.ndarray = member.astype(np.uint64)[:, None] << np.uint64(FRACTION_BITS)
    prg.subtract(value, key, start)
    return value


def conceal(half: np.ndarray, key: bytes, start: int) -> np.ndarray:
    """``half`` minus the stream of ``key``: fit for whoever lacks the key."""
    found: np.ndarray = half.copy()
    prg.subtract(found, key, start)
    return found


def restore(half: np.ndarray, key: bytes, start: int) -> np.ndarray:
    """``half`` plus the stream of ``key``: the other side of a `conceal`."""
    found: np.ndarray = half.copy()
    prg.add(found, key, start)
    return found
