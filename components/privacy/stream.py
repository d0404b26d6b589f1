"""Random bytes for noise and samples: a ChaCha20 stream under a fresh key of the operating system.

Reading `os.urandom` for every value costs three times as much; a stream cipher under a key used once is as good, by the
same assumption that masks rest on. There is no seed to set: tests replace the function that is passed in.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

RandomWords = Callable[[int], np.ndarray]
"""How many -> uint64 of that shape, uniform and independent."""


def random_words(count: int) -> np.ndarray:
    """``count`` uniform uint64, never the same twice."""
    key = secrets.token_bytes(32)
    stream = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(8 * count))
    return np.frombuffer(stream, dtype=np.uint64)
