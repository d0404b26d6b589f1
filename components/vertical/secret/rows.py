"""Which positions of a secret table are trained on, held out, and taken together. All of it is public.

A position says nothing: nobody knows whose row stands there.
"""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

CHUNK = 4096
"""Rows that one secret program evaluates; the last chunk is filled up, so that one program serves all."""


def split_seed(tokens: Sequence[bytes]) -> str:
    """A public seed from everybody's random tokens; it is stored with the model."""
    return hashlib.sha256(b"split" + b"".join(tokens)).hexdigest()


def split_positions(seed: str, rows: int, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions to train on and to hold out, both in random order; the same for the same arguments."""
    order = np.random.default_rng(int(seed, 16)).permutation(rows)
    held = round(rows * fraction)
    return order[held:], order[:held]


def chunks(positions: np.ndarray, size: int = CHUNK) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Consecutive chunks of one size, the last filled up with its own first row, and what is valid (1.0 or 0.0)."""
    size = min(size, len(positions))
    for start in range(0, len(positions), size):
        part = positions[start : start + size]
        valid = (np.arange(size) < len(part)).astype(np.float32)
        yield np.concatenate([part, np.full(size - len(part), part[0])]), valid
