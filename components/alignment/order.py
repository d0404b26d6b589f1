"""Pseudonyms of one run, a common order of matched people that says nothing about them, and the proof that two parties
hold the same ones.

Computes     a pseudonym per person, a keyed hash that both holders get for the same person and nobody else; both sort
             their matched rows by it, and compare one hash over all of them.
Adversary    semi-honest holders; a coordinator or eavesdropper that sees every message between them but changes none.
Reveals      to the holder that compares: whether both hold the same people. Both know the people already.
Not covered  a holder that lies; an attacker that changes the key exchange (TLS on the link is what stops it).
Assumes      X25519; AES-256 (`packed_ids.tags`) and BLAKE2b as pseudo-random functions. Two people are confused with a
             chance of n^2 / 2^128.
Cost         about 0.2 s per million rows at each holder; 96 bytes sent.

PSI libraries return rows sorted by ID, so that a row's position tells how the person's ID compares with others'. A
hash under a key that only the holders know, drawn anew for each run, leaves no such order.
"""

import hashlib

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from veilflow.components.alignment.anonymous.packed_ids import PackedIds, tags
from veilflow.components.alignment.anonymous.permutation import sorted_with_places

_KEY_BYTES = 32


def new_exchange() -> tuple[bytes, bytes]:
    """A private key, which stays where it is, and the public key for the other holder; 32 bytes each, for one run."""
    private = X25519PrivateKey.generate()
    return private.private_bytes_raw(), private.public_key().public_bytes_raw()


def session_key(private: bytes, own_public: bytes, peer_public: bytes) -> bytes:
    """The 32 bytes that both holders derive, and nobody who saw the public keys only."""
    shared = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(peer_public))
    exchange = b"".join(sorted((own_public, peer_public)))
    return hashlib.blake2b(exchange, key=shared, digest_size=_KEY_BYTES, person=b"vf psi order").digest()


def pseudonyms(ids: PackedIds, session: bytes) -> np.ndarray:
    """What stands for distinct ``ids`` in this run: uint64, shape (n, 2), the same at both holders."""
    return tags(ids, _derived(session, b"vf psi row"))


def common_order(marks: np.ndarray, session: bytes) -> tuple[np.ndarray, str]:
    """The order of people by their pseudonyms ``marks`` (distinct), and one hash over all of them.

    Returns:
        int64, shape ``(len(marks),)``: positions into ``marks``, the same people at both holders; and 64 hex digits,
        equal at both holders if and only if they hold the same people (up to a chance of about ``n**2 / 2**128``).
    """
    numbers, order = sorted_with_places(marks[:, 0], max(1, len(marks)).bit_length())
    if (numbers[1:] == numbers[:-1]).any():  # what it left out decides: some of a million million pairs
        order = np.lexsort((marks[:, 1], marks[:, 0])).astype(np.int64)
    ordered = np.ascontiguousarray(marks[order])
    return order, hashlib.blake2b(ordered.data, key=session, digest_size=32, person=b"vf psi all").hexdigest()


def _derived(session: bytes, use: bytes) -> bytes:
    return hashlib.blake2b(key=session, digest_size=_KEY_BYTES, person=use).digest()
