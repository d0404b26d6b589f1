"""Random orders from a cryptographic generator: sort the rows of a fresh pseudo-random stream.

Two equal sort keys among n, which would make two rows' order predictable, have a chance of at most n^2 / 2^65.
Cost: about 0.1 s per million.
"""

from __future__ import annotations

import secrets

import numpy as np

from veilflow.components.alignment.anonymous import prg


def random_order(count: int) -> np.ndarray:
    """A uniformly random permutation of ``range(count)``, fresh from the OS's randomness: int64, shape (count,)."""
    return np.argsort(prg.rows(secrets.token_bytes(32), 0, (count + 1) // 2, 2).reshape(-1)[:count])
