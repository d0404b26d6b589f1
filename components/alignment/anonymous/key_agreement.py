"""Fresh keys for one alignment: a secret for every two parties, and one for the holders that no other party has.

Computes     from one published X25519 key per party: a 32-byte secret per pair, any number of keys derived from it,
             and a group key that the first holder draws and wraps for each of the others.
Adversary    semi-honest parties; an eavesdropper that reads everything.
Reveals      public keys.
Not covered  an active attacker on the wire: TLS and the signatures of VeilFlow's link are what bind a public key to its
             party. The derived keys contain the names and public keys of all, so parties that saw different ones end
             with different keys.
Assumes      X25519 (computational Diffie-Hellman), HKDF-SHA256, ChaCha20-Poly1305.
Cost         32 bytes per party to every other, 48 bytes per further holder; under a millisecond.
Reference    RFC 7748, RFC 5869, RFC 8439.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from veilflow.components.errors import ComponentError

_ONCE = bytes(12)
"""Nonce of a key that encrypts one message."""


@dataclass(frozen=True)
class Keyring:
    """One party's secrets in one run; never leaves it."""

    me: str
    pairs: Mapping[str, bytes] = field(repr=False)
    """Peer -> 32 bytes that only the two know."""

    def key(self, peer: str, *use: str) -> bytes:
        """The key of this party and ``peer`` for one use, equal at both."""
        return derive(self.pairs[peer], *use)


def new_exchange() -> tuple[bytes, str]:
    """A private key (32 bytes, stays where it is) and the public key as hex, for one run."""
    private = X25519PrivateKey.generate()
    return private.private_bytes_raw(), private.public_key().public_bytes_raw().hex()


def agree(me: str, private: bytes, publics: Mapping[str, str]) -> Keyring:
    """The secrets of ``me`` with every other party of ``publics`` (party -> public key as hex).

    Raises:
        ComponentError: a public key that is none.
    """
    context = json.dumps(sorted(publics.items())).encode()
    own = X25519PrivateKey.from_private_bytes(private)
    pairs = {}
    for peer, public in publics.items():
        if peer == me:
            continue
        try:
            shared = own.exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(public)))
        except (ValueError, TypeError):
            raise ComponentError(f"{peer} published a key that is no X25519 public key.") from None
        pairs[peer] = _hkdf(shared, context, json.dumps(["pair", *sorted((me, peer))]).encode())
    return Keyring(me, pairs)


def derive(secret: bytes, *use: str) -> bytes:
    """32 bytes for one use of a secret; unrelated to those of every other use."""
    return _hkdf(secret, b"", json.dumps(["veilflow anonymous alignment", *use]).encode())


def wrap_group_key(
    ring: Keyring, members: tuple[str, ...], repeated: bytes | None = None
) -> tuple[bytes, dict[str, bytes]]:
    """A group key, and per other member the message that carries it.

    Args:
        repeated: the group key follows from this secret; None: a new one.
    """
    group = derive(repeated, "group key") if repeated else secrets.token_bytes(32)
    sealed = {
        member: ChaCha20Poly1305(ring.key(member, "group key")).encrypt(_ONCE, group, None)
        for member in members
        if member != ring.me
    }
    return group, sealed


def unwrap_group_key(ring: Keyring, leader: str, message: bytes) -> bytes:
    """The group key that ``leader`` sent.

    Raises:
        ComponentError: the message was not made for this party in this run.
    """
    try:
        return ChaCha20Poly1305(ring.key(leader, "group key")).decrypt(_ONCE, message, None)
    except InvalidTag:
        raise ComponentError(f"{leader}'s group key does not fit this run; start the alignment again.") from None


def _hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, info).derive(secret)
