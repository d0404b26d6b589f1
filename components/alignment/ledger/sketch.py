"""A set of people in 16 kB, such that two sketches tell in how many people two sets differ, and nothing else.

Computes     4096 counters; each person adds +1 or -1 to one of them, both chosen by a keyed hash. The squared distance
             of two sketches is the size of the symmetric difference: exact for 0, nearly so for a few, within 5 % (two
             standard deviations) for many. And a keyed sum over all people, equal for equal sets alone.
Reveals      to whoever lacks the key, of one sketch: roughly the size of the set; of two: in how many people they
             differ.
Assumes      AES-256 CBC-MAC as a PRF (`packed_ids.tags`); the key stays at the holder.
Reference    Charikar, Chen and Farach-Colton, "Finding frequent items in data streams", ICALP 2002; as a norm estimate:
             Alon, Matias and Szegedy, STOC 1996, and Thorup and Zhang, SODA 2004.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from veilflow.components.alignment.anonymous.packed_ids import PackedIds, tags

COUNTERS = 4096
_SIGN = np.uint64(12)


@dataclass(frozen=True)
class Sketch:
    """What is kept of an input, and what partners get of it."""

    people: int
    digest: str
    """32 hex digits, equal for equal sets under one key alone."""
    key: str
    """16 hex digits that name the key; sketches under different keys cannot be compared."""
    counters: np.ndarray
    """int32, shape (4096,)."""

    def difference(self, other: Sketch) -> int:
        """About how many people are in one set only; 0 if and only if the sets are equal."""
        if self.digest == other.digest:
            return 0
        apart = self.counters.astype(np.int64) - other.counters
        return max(1, int((apart * apart).sum()))


def sketch(ids: PackedIds, key: bytes) -> Sketch:
    """The sketch of distinct IDs under a 32-byte key."""
    marks = tags(ids, key)
    bucket = (marks[:, 0] & np.uint64(COUNTERS - 1)).astype(np.int64)
    sign = 1.0 - 2.0 * ((marks[:, 0] >> _SIGN) & np.uint64(1)).astype(np.float64)
    counters = np.bincount(bucket, sign, COUNTERS).astype(np.int32)
    total = marks.sum(axis=0, dtype=np.uint64)
    digest = hashlib.blake2b(total.tobytes(), key=key, digest_size=16, person=b"vf ledger set").hexdigest()
    return Sketch(len(ids), digest, key_name(key), counters)


def key_name(key: bytes) -> str:
    """A public name of a key, from which the key cannot be found."""
    return hashlib.blake2b(b"", key=key, digest_size=8, person=b"vf ledger key").hexdigest()
