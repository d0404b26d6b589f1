"""Streams of ring elements from a 32-byte key: AES-256 in counter mode, any rows of it at any time.

Think of a key as an endless matrix of uniform uint64, ``width`` of them per row. `rows` gives consecutive rows,
`rows_at` any rows, the same numbers. Both ends of a key can therefore work in blocks, and a party that needs a few rows
out of ten million makes only those. One key serves one matrix: it is derived anew for each use
(`key_agreement.derive`).

Assumes      AES-256 is a pseudo-random permutation; 2^64 blocks per key are never reached.
Cost         about 0.25 ns per byte with AES instructions.
"""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_WORDS = 2
"""uint64 per AES block; every row begins with a new block."""
_BLOCK = 16


def rows(key: bytes, start: int, count: int, width: int) -> np.ndarray:
    """Rows ``start`` to ``start + count`` of the key's matrix: uint64, shape (count, width)."""
    blocks = _blocks(width)
    first = (start * blocks).to_bytes(_BLOCK, "big")
    encryptor = Cipher(algorithms.AES256(key), modes.CTR(first)).encryptor()
    size = count * blocks * _BLOCK
    out = np.empty(size + _BLOCK - 1, np.uint8)
    encryptor.update_into(bytes(size), out.data)
    return _cut(out[:size], count, blocks, width)


def rows_at(key: bytes, positions: np.ndarray, width: int) -> np.ndarray:
    """Rows at ``positions`` (integers, shape (m,)) of the key's matrix: uint64, shape (m, width)."""
    blocks, count = _blocks(width), len(positions)
    if not count * blocks:
        return np.zeros((count, width), np.uint64)
    counters = np.zeros((count, blocks, _WORDS), ">u8")
    counters[:, :, 1] = positions.astype(np.uint64)[:, None] * np.uint64(blocks) + np.arange(blocks, dtype=np.uint64)
    out = np.empty(counters.nbytes + _BLOCK - 1, np.uint8)
    encryptor = Cipher(algorithms.AES256(key), modes.ECB()).encryptor()
    encryptor.update_into(counters.view(np.uint8).reshape(-1).data, out.data)
    return _cut(out[: counters.nbytes], count, blocks, width)


def _blocks(width: int) -> int:
    return (width + _WORDS - 1) // _WORDS


def _cut(raw: np.ndarray, count: int, blocks: int, width: int) -> np.ndarray:
    return raw.view("<u8").reshape(count, blocks * _WORDS)[:, :width]
