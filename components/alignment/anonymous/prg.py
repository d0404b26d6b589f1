"""Streams of ring elements from a 32-byte key: AES-256 in counter mode, any rows of it at any time.

Think of a key as an endless matrix of uniform uint64, ``width`` of them per row. `rows` gives consecutive rows,
`rows_at` any rows, the same numbers. Both ends of a key can therefore work in blocks, and a party that needs a few rows
out of ten million makes only those. One key serves one matrix: it is derived anew for each use
(`key_agreement.derive`).

Numbers are made in pieces of 256 kB in one buffer: with arrays of their own, getting memory from the kernel took longer
than the cipher.

Assumes      AES-256 is a pseudo-random permutation; 2^64 blocks per key are never reached.
Cost         about 0.25 ns per byte with AES instructions.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_WORDS = 2
"""uint64 per AES block; every row begins with a new block."""
_BLOCK = 16
_PIECE = 1 << 18
_ZEROS = bytes(_PIECE)


def rows(key: bytes, start: int, count: int, width: int) -> np.ndarray:
    """Rows ``start`` to ``start + count`` of the key's matrix: uint64, shape (count, width)."""
    out = np.empty((count, width), np.uint64)
    write(out, key, start)
    return out


def write(out: np.ndarray, key: bytes, start: int) -> None:
    """Overwrite ``out`` (uint64, shape (count, width), any strides) with rows from ``start`` on."""
    for place, piece in _pieces(key, start, *out.shape):
        out[place] = piece


def subtract(out: np.ndarray, key: bytes, start: int) -> None:
    """Subtract rows from ``start`` on from ``out``, in place."""
    for place, piece in _pieces(key, start, *out.shape):
        out[place] -= piece


def add(out: np.ndarray, key: bytes, start: int) -> None:
    """Add rows from ``start`` on to ``out``, in place."""
    for place, piece in _pieces(key, start, *out.shape):
        out[place] += piece


def rows_at(key: bytes, positions: np.ndarray, width: int) -> np.ndarray:
    """Rows at ``positions`` (integers, shape (m,)) of the key's matrix: uint64, shape (m, width)."""
    found = np.empty((len(positions), width), np.uint64)
    if not found.size:
        return found
    blocks, size = _blocks(width), _rows_of_a_piece(width)
    counters, raw = np.zeros((size, blocks, _WORDS), ">u8"), _buffer(size * blocks)
    encryptor = Cipher(algorithms.AES256(key), modes.ECB()).encryptor()
    steps = np.arange(blocks, dtype=np.uint64)
    for at in range(0, len(positions), size):
        chosen = positions[at : at + size].astype(np.uint64)
        counters[: len(chosen), :, 1] = chosen[:, None] * np.uint64(blocks) + steps
        encryptor.update_into(counters[: len(chosen)].view(np.uint8).reshape(-1).data, raw.data)
        found[at : at + size] = _cut(raw, len(chosen), blocks, width)
    return found


def _pieces(key: bytes, start: int, count: int, width: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Consecutive rows, piece by piece, with where they belong; a piece is gone when the next one comes."""
    if not count * width:
        return
    blocks, size = _blocks(width), _rows_of_a_piece(width)
    first = (start * blocks).to_bytes(_BLOCK, "big")
    encryptor = Cipher(algorithms.AES256(key), modes.CTR(first)).encryptor()
    zeros = memoryview(_ZEROS if size * blocks * _BLOCK <= _PIECE else bytes(size * blocks * _BLOCK))
    raw = _buffer(size * blocks)
    for at in range(0, count, size):
        rows_here = min(size, count - at)
        encryptor.update_into(zeros[: rows_here * blocks * _BLOCK], raw.data)
        yield slice(at, at + rows_here), _cut(raw, rows_here, blocks, width)


def _blocks(width: int) -> int:
    return (width + _WORDS - 1) // _WORDS


def _rows_of_a_piece(width: int) -> int:
    return max(1, _PIECE // (_blocks(width) * _BLOCK))


def _buffer(blocks: int) -> np.ndarray:
    return np.empty(blocks * _BLOCK + _BLOCK - 1, np.uint8)  # what `update_into` asks for


def _cut(raw: np.ndarray, count: int, blocks: int, width: int) -> np.ndarray:
    return raw[: count * blocks * _BLOCK].view("<u8").reshape(count, blocks * _WORDS)[:, :width]
