"""What two parties say to each other before a connection carries anything.

Computes     for a fresh connection: that each end holds the signing key pinned for the party it says it is, that the
             caller meant this very connection (both TLS certificates are part of what is signed), and what it is for.
Adversary    anybody who can reach the port; a member that passes other members' greetings on from a connection of its
             own: the certificates it shows are then not those that were signed.
Reveals      to a holder of a certificate of the authority: a random number and this machine's clock. To a pinned party:
             whether it may come in, and if not, why, as one of `CODES`.
Not covered  a member that has another member's TLS key *and* signing key.
Assumes      the pinned signing keys; TLS wherever the link leaves the machine.
Cost         one signature and one check at each end, three messages.
Reference    challenge and response, ISO/IEC 9798-3; certificates as channel binding, RFC 5929 section 4 (TLS 1.3's
             exporter is not within reach of Python).
"""

import secrets
import time
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from veilflow.pipelines.party.wire.errors import WireRefused
from veilflow.pipelines.party.wire.identity import SIGNATURE_BYTES, Identity

MAX_GREETING = 2048
HEAD_BYTES = 4
_GREETING, _ANSWER = "greeting", "answer to a greeting"
_NAME = Field(max_length=64)

CODES = {
    "welcome": "is welcome",
    "busy": "is still busy with an earlier attempt",
    "stranger": "does not expect this party to call",
    "key": "does not accept the signing key: the public key in its cluster file is another one",
    "name": "does not accept the certificate: it names another party",
    "dates": "does not accept the certificate by its clock",
    "early": "knows no such link yet",
    "channel": "knows no such link, or is in another run",
    "full": "has as many connections of it on this link as it takes",
    "over": "does not go on",
}
"""What an answer may say; everything else in a message to the user is made of this and of names and times."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def raw(self) -> bytes:
        return self.model_dump_json().encode()


class Offer(_Document):
    """First the called party."""

    nonce: str = Field(default_factory=lambda: secrets.token_hex(32), max_length=64)
    clock: float = Field(default_factory=time.time)
    """UTC seconds."""


class Hello(_Document):
    """Then the caller, signed."""

    caller: str = _NAME
    called: str = _NAME
    channel: str = Field(max_length=160)
    job: str = _NAME
    """The run that this connection belongs to; empty before there is one."""
    about: str = Field("", max_length=64)
    code: str = Field("", max_length=32)
    """On the channel ``news``: who cannot go on, and why (`news.CODES`)."""
    nonce: str = Field(default_factory=lambda: secrets.token_hex(32), max_length=64)
    clock: float = Field(default_factory=time.time)


class Answer(_Document):
    """Last the called party, signed; after ``welcome`` the connection is the channel's."""

    code: Literal["welcome", "busy", "stranger", "key", "name", "dates", "early", "channel", "full", "over"]
    about: str = Field("", max_length=64)
    news: str = Field("", max_length=32)
    """With ``over``: on whose account, and why (`mesh.CODES`)."""


_Any = TypeVar("_Any", bound=_Document)


def parse(kind: type[_Any], raw: bytes) -> _Any:
    """A document from its bytes.

    Raises:
        WireRefused: it is none.
    """
    try:
        return kind.model_validate_json(raw)
    except ValidationError:
        raise WireRefused("a greeting is not of the form that this version knows.") from None


def framed(raw: bytes) -> bytes:
    """With its length in front."""
    return len(raw).to_bytes(HEAD_BYTES, "big") + raw


def signed_hello(identity: Identity, offer: bytes, hello: Hello, certificates: tuple[bytes, bytes]) -> bytes:
    """``hello`` with the caller's signature behind it; ``certificates`` are the digests of the called one's, the
    caller's."""
    raw = hello.raw()
    return raw + identity.sign(_GREETING, _statement(*certificates, offer, raw))


def open_hello(signed: bytes) -> tuple[Hello, bytes, bytes]:
    """The document, its bytes and its signature, which is yet to be checked."""
    raw, signature = signed[:-SIGNATURE_BYTES], signed[-SIGNATURE_BYTES:]
    return parse(Hello, raw), raw, signature


def require_hello(identity: Identity, offer: bytes, signed: bytes, certificates: tuple[bytes, bytes]) -> None:
    """Check the caller's signature.

    Raises:
        WireRefused: it is not that of the party named in the greeting.
    """
    hello, raw, signature = open_hello(signed)
    identity.require(hello.caller, _GREETING, _statement(*certificates, offer, raw), signature)


def signed_answer(
    identity: Identity, offer: bytes, hello: bytes, answer: Answer, certificates: tuple[bytes, bytes]
) -> bytes:
    """``answer`` with the called party's signature behind it."""
    raw = answer.raw()
    return raw + identity.sign(_ANSWER, _statement(*certificates, offer, hello, raw))


def open_answer(
    identity: Identity, called: str, offer: bytes, hello: bytes, signed: bytes, certificates: tuple[bytes, bytes]
) -> Answer:
    """``called``'s answer.

    Raises:
        WireRefused: it is malformed, or not signed by ``called``.
    """
    raw, signature = signed[:-SIGNATURE_BYTES], signed[-SIGNATURE_BYTES:]
    identity.require(called, _ANSWER, _statement(*certificates, offer, hello, raw), signature)
    return parse(Answer, raw)


def _statement(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(HEAD_BYTES, "big") + part for part in parts)
