"""A common order of matched people that says nothing about them, and the proof that two parties hold the same ones.

Computes     both holders sort their matched rows by a keyed hash of the person, and compare one hash over all of them.
Adversary    semi-honest holders; a coordinator or eavesdropper that sees every message between them but changes none.
Reveals      to the holder that compares: whether both hold the same people. Both know the people already.
Not covered  a holder that lies; an attacker that changes the key exchange (TLS on the link is what stops it).
Assumes      X25519, BLAKE2b as a pseudo-random function.
Cost         about 1.5 s per million rows at each holder; 96 bytes sent.

PSI libraries return rows sorted by ID, so that a row's position tells how the person's ID compares with others'. A
hash under a key that only the holders know, drawn anew for each run, leaves no such order.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

_KEY_BYTES = 32
_ROW_BYTES = 16


def new_exchange() -> tuple[bytes, bytes]:
    """A private key, which stays where it is, and the public key for the other holder; 32 bytes each, for one run."""
    private = X25519PrivateKey.generate()
    return private.private_bytes_raw(), private.public_key().public_bytes_raw()


def session_key(private: bytes, own_public: bytes, peer_public: bytes) -> bytes:
    """The 32 bytes that both holders derive, and nobody who saw the public keys only."""
    shared = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(peer_public))
    exchange = b"".join(sorted((own_public, peer_public)))
    return hashlib.blake2b(exchange, key=shared, digest_size=_KEY_BYTES, person=b"vf psi order").digest()


def common_order(keys: Sequence[str], secret: bytes) -> tuple[np.ndarray, str]:
    """The order of ``keys`` (distinct) under ``secret``, and one hash over all of them.

    Returns:
        int64, shape ``(len(keys),)``: positions into ``keys``, the same people at both holders; and 64 hex digits,
        equal at both holders if and only if they hold the same keys (up to a chance of about ``n**2 / 2**128``).
    """
    start = hashlib.blake2b(key=secret, digest_size=_ROW_BYTES, person=b"vf psi row")
    digests = []
    for key in keys:
        row = start.copy()
        row.update(key.encode("utf-8", "surrogatepass"))
        digests.append(row.digest())
    halves = np.frombuffer(b"".join(digests), dtype=">u8").reshape(-1, 2)
    order = np.lexsort((halves[:, 1], halves[:, 0])).astype(np.int64)
    whole = hashlib.blake2b(halves[order].tobytes(), key=secret, digest_size=32, person=b"vf psi all")
    return order, whole.hexdigest()
