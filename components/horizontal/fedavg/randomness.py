"""Random numbers that a peer must not be able to guess: batches and noise of local DP-SGD.

A stream is AES-128 in counter mode under a fresh key from the operating system. Normal deviates are Box-Muller on
40-bit uniforms, so they reach 7.4 standard deviations (a true one is beyond that once in 10**13). Not covered:
floating-point noise has gaps in its low bits (Mironov 2012); what leaves a client is rounded to a grid that is far
coarser.
"""

import secrets

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_BLOCK = 1 << 16


class SecretStream:
    """Independent draws; every stream has its own key."""

    def __init__(self) -> None:
        key, nonce = secrets.token_bytes(16), secrets.token_bytes(16)
        self._encryptor = Cipher(algorithms.AES(key), modes.CTR(nonce)).encryptor()

    def words(self, count: int) -> np.ndarray:
        """``count`` uniform 64-bit words."""
        return np.frombuffer(self._encryptor.update(bytes(8 * count)), dtype="<u8")

    def uniform(self, count: int) -> np.ndarray:
        """``count`` draws from (0, 1], float64, in steps of 2**-53."""
        drawn: np.ndarray = ((self.words(count) >> np.uint64(11)).astype(np.float64) + 1.0) * 2.0**-53
        return drawn

    def normal(self, shape: tuple[int, ...], deviation: float) -> np.ndarray:
        """Gaussian draws, float32; made in blocks so that memory stays small."""
        size = int(np.prod(shape))
        out = np.empty(size + size % 2, np.float32)
        for start in range(0, len(out), _BLOCK):
            pairs = min(_BLOCK, len(out) - start) // 2
            word = self.words(pairs)
            # 40 bits of a word for the radius, 24 for the angle, whose sine is ten times faster in single precision
            share = ((word >> np.uint64(24)).astype(np.float64) + 1.0) * 2.0**-40
            radius = (deviation * np.sqrt(-2.0 * np.log(share))).astype(np.float32)
            angle = (word & np.uint64(0xFFFFFF)).astype(np.float32) * np.float32(2.0 * np.pi * 2.0**-24)
            out[start : start + pairs] = radius * np.cos(angle)
            out[start + pairs : start + 2 * pairs] = radius * np.sin(angle)
        return out[:size].reshape(shape)

    def permutation(self, count: int) -> np.ndarray:
        """A uniform order of ``range(count)`` (64-bit sort keys: a tie is a matter of 2**-64 per pair).

        Keys are sorted 16 bits at a time, from the lowest: numpy does that by counting, and needs half as long in all.
        """
        keys = self.words(count).view("<u2").reshape(count, 4).T
        order = np.argsort(keys[0], kind="stable")
        for digits in keys[1:]:
            order = order[np.argsort(digits[order], kind="stable")]
        return order
