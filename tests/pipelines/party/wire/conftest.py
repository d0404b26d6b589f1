"""Keys of three parties; no hypothesis deadline: a busy machine is no reason for a test to fail."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import settings

from veilflow.pipelines.party.wire.identity import Identity

settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")

PARTIES = ("alice", "bob", "carol")


@pytest.fixture(scope="session")
def keys() -> dict[str, Ed25519PrivateKey]:
    return {party: Ed25519PrivateKey.generate() for party in PARTIES}


@pytest.fixture(scope="session")
def identity(keys: dict[str, Ed25519PrivateKey]) -> Callable[..., Identity]:
    """``identity(party)``; with ``claims``, ``party``'s key under another name, as only that party itself pins it."""
    pins = {party: key.public_key() for party, key in keys.items()}

    def make(party: str, claims: str | None = None) -> Identity:
        if claims is None:
            return Identity(party, keys[party], pins)
        return Identity(claims, keys[party], {**pins, claims: pins[party]})

    return make
