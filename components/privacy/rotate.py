"""A public rotation that makes all coordinates of a vector about equally long, so that few bits hold each of them.

A trained network's update has a few long coordinates and many short ones; a grid that holds the long ones is too coarse
for the short ones. After a random rotation every coordinate is nearly Gaussian with deviation norm / sqrt(d), whatever
the vector was, and a cap of four deviations cuts off next to nothing. The norm stays what it was, so a clipped vector
stays clipped, and spherical noise stays spherical: neither sensitivity nor claim changes.

The rotation comes from a public seed and protects nothing. It is built from additions, subtractions and products with
one constant only, in a fixed order: it gives the same bits on every machine, which a Fourier transform does not
promise. Replicas of the model must not drift apart.

How        random signs and a Walsh-Hadamard transform over the largest power of two that fits; over the first such part
           of the vector, then over the last, then over the first again, where the length is no power of two. A
           coordinate then has at most sqrt(2) times the deviation of the mean one, about, and is subgaussian.
Reference  Suresh et al. 2017, arxiv.org/abs/1611.00429; Kairouz et al. 2021, arxiv.org/abs/2102.06387, section 4.
Cost       about 3 d log2(d) additions: 0.2 ms at 4 000 coordinates.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms


@dataclass(frozen=True)
class Rotation:
    """The rotation of one round; the same for everybody who knows the public ``seed``."""

    seed: bytes
    round: int

    def apply(self, vector: np.ndarray) -> np.ndarray:
        """``vector`` (shape ``(d,)``) rotated: float64, same L2 norm."""
        found = vector.astype(np.float64)
        for number, (start, stop) in enumerate(_windows(found.size)):
            found[start:stop] = _hadamard(found[start:stop] * self._signs(number, stop - start))
        return found

    def invert(self, rotated: np.ndarray) -> np.ndarray:
        """The inverse of `apply`, to about 1e-15 of the norm."""
        found = rotated.astype(np.float64)
        for number, (start, stop) in reversed(list(enumerate(_windows(found.size)))):
            found[start:stop] = _hadamard(found[start:stop]) * self._signs(number, stop - start)
        return found

    def _signs(self, number: int, size: int) -> np.ndarray:
        label = b"veilflow rotation v1" + self.seed + self.round.to_bytes(8, "little") + bytes([number])
        key = hashlib.sha256(label).digest()
        stream = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(-(-size // 8)))
        coins: np.ndarray = np.unpackbits(np.frombuffer(stream, np.uint8))[:size]
        return 1.0 - 2.0 * coins


def _windows(size: int) -> list[tuple[int, int]]:
    width = 1 << (size.bit_length() - 1)
    if width == size:
        return [(0, size)]
    return [(0, width), (size - width, size), (0, width)]


def _hadamard(vector: np.ndarray) -> np.ndarray:
    """The orthonormal Walsh-Hadamard transform of a power of two of numbers; its own inverse."""
    rows = 1 << (vector.size.bit_length() // 2)
    # As a table, first down its columns, then along its rows: every step works on long stretches of memory.
    table = _down(vector.reshape(rows, -1).copy())
    turned: np.ndarray = _down(np.ascontiguousarray(table.T)).T.reshape(-1)
    return turned * (1.0 / math.sqrt(vector.size))


def _down(table: np.ndarray) -> np.ndarray:
    """All steps between the rows of ``table``, in its own memory."""
    half = table.shape[0] // 2
    while half:
        pairs = table.reshape(-1, 2, half, table.shape[1])
        upper = pairs[:, 0] + pairs[:, 1]
        np.subtract(pairs[:, 0], pairs[:, 1], out=pairs[:, 1])
        pairs[:, 0] = upper
        half //= 2
    return table
