"""Real numbers as fixed point in the ring mod 2^64, as the SPU keeps them: 18 fraction bits.

Guarantees: ``decode(encode(x))`` differs from x by at most 2^-19 for abs(x) < 2^34, and above that by
the rounding of float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from veilflow.components.errors import ComponentError

FRACTION_BITS = 18
LIMIT = 2.0**40
"""Numbers from here up are refused: they fit the ring, but no product with them would."""
_BLOCK = 1 << 14
"""Rows at a time, so that a block of all columns stays in the cache."""


def encode(columns: Sequence[np.ndarray], names: Sequence[str], where: str) -> np.ndarray:
    """Columns of numbers (each of shape (n,)) as one matrix of ring elements: uint64, shape (n, columns).

    Raises:
        ComponentError: missing, infinite or too large numbers, with the columns' names and how many.
    """
    count = len(columns[0]) if columns else 0
    out = np.empty((count, len(columns)), np.int64)
    bad = np.zeros(len(columns), np.int64)
    for start in range(0, count, _BLOCK):
        for at, column in enumerate(columns):
            piece = np.asarray(column[start : start + _BLOCK], np.float64)
            wrong = ~(np.abs(piece) < LIMIT)  # also true for NaN
            if wrong.any():
                bad[at] += int(wrong.sum())
                piece = np.where(wrong, 0.0, piece)
            out[start : start + _BLOCK, at] = np.rint(piece * 2.0**FRACTION_BITS)
    if bad.any():
        which = ", ".join(f"'{names[at]}' ({bad[at]})" for at in map(int, np.flatnonzero(bad)))
        raise ComponentError(
            f"{where}: cells that are missing, infinite or 2^40 and more in column(s) {which}: "
            f"fill and scale them before (data/clean, data/scale)."
        )
    return out.view(np.uint64)


def decode(elements: np.ndarray) -> np.ndarray:
    """The numbers behind ring elements: float64 of the same shape."""
    return np.asarray(elements, np.uint64).view(np.int64) * 2.0**-FRACTION_BITS
