"""Who a party is on the wire: an Ed25519 key of its own, and the public keys of all, known before the run.

The public keys come from the cluster file, where every party has written them down (`veilflow certs`), never from the
wire. A TLS certificate does not replace them: an authority can make one in any party's name.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from veilflow.pipelines.certs.keys import load_signing_key, parse_public
from veilflow.pipelines.party.setup import PartySetup
from veilflow.pipelines.party.wire.errors import WireRefused

SIGNATURE_BYTES = 64


@dataclass(frozen=True)
class Identity:
    """One party's signing key and everybody's public keys."""

    party: str
    key: Ed25519PrivateKey
    pins: Mapping[str, Ed25519PublicKey]

    def __post_init__(self) -> None:
        pinned = self.pins.get(self.party)
        if pinned is None or pinned.public_bytes_raw() != self.key.public_key().public_bytes_raw():
            raise WireRefused(f"{self.party}'s signing key is not the one that the cluster file names for it.")

    @staticmethod
    def of(setup: PartySetup) -> "Identity":
        """Who the party of ``setup`` is.

        Raises:
            KeyFileError, WireRefused: the signing key cannot be used, or is not the one pinned for this party.
        """
        pins = {party: parse_public(text) for party, text in setup.pins.items()}
        return Identity(setup.party, load_signing_key(setup.identity), pins)

    def sign(self, purpose: str, text: bytes) -> bytes:
        """A signature that is valid for this purpose only."""
        return self.key.sign(_bound(purpose, text))

    def require(self, party: str, purpose: str, text: bytes, signature: bytes) -> None:
        """Check that ``party`` signed ``text`` for ``purpose``.

        Raises:
            WireRefused: it did not, or nobody knows its key.
        """
        pinned = self.pins.get(party)
        if pinned is None:
            raise WireRefused(f"no signing key is known for '{party}'.")
        try:
            pinned.verify(signature, _bound(purpose, text))
        except InvalidSignature:
            raise WireRefused(f"a {purpose} in {party}'s name does not carry {party}'s signature.") from None


def _bound(purpose: str, text: bytes) -> bytes:
    """The purpose in front, so that a signature made for one kind of statement never serves as another."""
    return b"veilflow/1/" + purpose.encode() + b"\0" + text
