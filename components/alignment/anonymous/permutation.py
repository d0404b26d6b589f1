"""Random orders from a cryptographic generator: every place gets a random number, and places are sorted by it.

Number and place share one 64-bit word, which sorts twice as fast as an index beside it. At ten million places some
fifty pairs then have equal numbers; those are shuffled once more, so that every order is equally likely.
Cost: about 0.07 s per million.
"""

from __future__ import annotations

import secrets

import numpy as np

from veilflow.components.alignment.anonymous import prg


def random_order(count: int) -> np.ndarray:
    """A uniformly random permutation of ``range(count)``, fresh from the OS's randomness: int64, shape (count,)."""
    words = prg.rows(secrets.token_bytes(32), 0, (count + 1) // 2, 2).reshape(-1)[:count]
    return _places_by_number(words)


def sorted_with_places(words: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """``words`` without their lowest ``bits``, ascending, and the place of each: uint64 and int64, shape (n,).

    Places with equal numbers are ascending. ``bits`` must be enough for n places.
    """
    low = np.uint64((1 << bits) - 1)
    packed = words & ~low
    packed |= np.arange(len(words), dtype=np.uint64)
    packed.sort()
    return packed >> np.uint64(bits), (packed & low).view(np.int64)


def _places_by_number(words: np.ndarray) -> np.ndarray:
    numbers, places = sorted_with_places(words, max(1, len(words) - 1).bit_length())
    equal = np.flatnonzero(numbers[1:] == numbers[:-1])
    dice = secrets.SystemRandom()
    for run in np.split(equal, np.flatnonzero(np.diff(equal) > 1) + 1) if len(equal) else ():
        tied = places[run[0] : run[-1] + 2].tolist()
        dice.shuffle(tied)
        places[run[0] : run[-1] + 2] = tied
    return places
