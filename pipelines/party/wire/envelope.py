"""Signed messages in order: what goes around every object that crosses SecretFlow's link.

Computes     a frame around a payload: a header (job, step, number, sender, receiver, SecretFlow's sequence id, length,
             SHA-256 of the payload), signed with the sender's Ed25519 key.
Adversary    a member of the run that speaks as another member, repeats, reorders, drops, cuts or redirects messages, or
             mixes in those of another run; anybody else where TLS is off.
Reveals      nothing that the payload does not: step names, lengths and digests go to the receiver of the payload only.
Not covered  secrecy (TLS does that); a sender that signs nonsense of its own; traffic between SPU ranks and inside PSI,
             which the libraries send themselves (`link_check` makes sure who is at the other end).
Assumes      keys in `Identity` are right; the job is fresh (`handshake`).
Cost         one signature (35 us) and one check (120 us) per message, SHA-256 on both sides (0.6 ms per MB), about 300
             bytes.
Reference    the number per direction and the signed receiver follow TLS 1.3's record layer, RFC 8446 section 5.3.
"""

import hashlib
import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from veilflow.pipelines.party.wire.errors import WireRefused
from veilflow.pipelines.party.wire.identity import SIGNATURE_BYTES, Identity

CHUNK_BYTES = 1 << 20
"""A payload longer than this travels in pieces, so that hashing, TLS and the network work at the same time."""
MAX_PAYLOAD = 4 << 30
"""A longer message is refused before memory is taken for it."""
_MAX_HEADER = 4096
_PIECE, _LAST = b"P", b"M"
_PIECE_HEAD = struct.Struct("<Q")
_LAST_HEAD = struct.Struct("<I")
_PURPOSE = "message"


@dataclass(frozen=True)
class Header:
    """What a sender signs."""

    job: str
    number: int
    """Counts this sender's messages to this receiver, from 0."""
    sender: str
    receiver: str
    step: str
    what: str
    """The label under which it was sent."""
    seq: int
    """SecretFlow's id of the object."""
    size: int
    sha256: str

    def to_bytes(self) -> bytes:
        return json.dumps(vars(self)).encode()

    @staticmethod
    def from_bytes(raw: bytes) -> "Header":
        try:
            found = json.loads(raw)
            header = Header(**found)
        except (ValueError, TypeError, RecursionError):
            raise WireRefused("a message's header cannot be read.") from None
        if any(type(getattr(header, name)) is not kind for name, kind in _TYPES):
            raise WireRefused("a message's header holds values of another type.")
        return header


_TYPES = [(each.name, each.type) for each in fields(Header)]


class Sender:
    """Makes the frames of this party's messages to one receiver."""

    def __init__(self, identity: Identity, job: str, receiver: str) -> None:
        self._identity, self._job, self._receiver = identity, job, receiver
        self._number = 0

    def frames(self, step: str, what: str, seq: int, payload: Sequence[memoryview]) -> Iterator[bytes | Header]:
        """The frames to send, one after the other, then the header that was signed."""
        size = sum(part.nbytes for part in payload)
        if size > MAX_PAYLOAD:
            raise WireRefused(f"a message of {size} bytes is longer than the {MAX_PAYLOAD} that a receiver accepts.")
        digest, inline = hashlib.sha256(), b""
        if size <= CHUNK_BYTES:
            inline = b"".join(payload)
            digest.update(inline)
        else:
            head = _PIECE + _PIECE_HEAD.pack(size)
            for piece in _pieces(payload):
                # Handed over first: the link encrypts and sends in its own threads while this one hashes.
                yield b"".join([head, *piece])
                for part in piece:
                    digest.update(part)
        header = Header(
            self._job,
            self._number,
            self._identity.party,
            self._receiver,
            step,
            what,
            seq,
            size,
            digest.hexdigest(),
        )
        raw = header.to_bytes()
        self._number += 1
        yield b"".join([_LAST, _LAST_HEAD.pack(len(raw)), raw, self._identity.sign(_PURPOSE, raw), inline])
        yield header


class Receiver:
    """Takes the frames of one sender and gives whole, checked messages. After a refusal nothing more is taken."""

    def __init__(self, identity: Identity, job: str, sender: str) -> None:
        self._identity, self._job, self._sender = identity, job, sender
        self._number = 0
        self._refused = False
        self._start()

    def take(self, frame: bytes) -> tuple[Header, memoryview] | None:
        """Add a frame; the message if it was its last one.

        Returns:
            The header and the payload, writable, in memory of its own.

        Raises:
            WireRefused: why this message, or an earlier one, is not accepted.
        """
        if self._refused:
            raise WireRefused(f"nothing more is taken from {self._sender} after a message that was refused.")
        try:
            return self._take(memoryview(frame))
        except WireRefused:
            self._refused = True
            self._start()
            raise

    def _start(self) -> None:
        self._payload = bytearray()
        self._filled = 0
        self._digest = hashlib.sha256()

    def _take(self, frame: memoryview) -> tuple[Header, memoryview] | None:
        kind = bytes(frame[:1])
        if kind == _PIECE:
            self._add(frame)
            return None
        if kind != _LAST:
            raise WireRefused(f"{self._sender} sent something that is no message.")
        header, rest = self._header(frame)
        if not self._filled:
            self._payload = bytearray(rest)
            self._digest.update(rest)
            self._filled = len(rest)
        elif len(rest):
            raise WireRefused(f"a message of {self._sender} has bytes behind its end.")
        if header.size != self._filled or header.size != len(self._payload):
            raise WireRefused(f"a message of {self._sender} has {self._filled} bytes and should have {header.size}.")
        if self._digest.hexdigest() != header.sha256:
            raise WireRefused(f"a message of {self._sender} does not have the digest that was signed.")
        payload = memoryview(self._payload)
        self._number += 1
        self._start()
        return header, payload

    def _add(self, frame: memoryview) -> None:
        body = frame[1 + _PIECE_HEAD.size :]
        if len(frame) <= 1 + _PIECE_HEAD.size:
            raise WireRefused(f"a piece of a message of {self._sender} is cut off.")
        (size,) = _PIECE_HEAD.unpack_from(frame, 1)
        if not self._filled:
            if size > MAX_PAYLOAD:
                raise WireRefused(f"{self._sender} announces {size} bytes; at most {MAX_PAYLOAD} are accepted.")
            self._payload = bytearray(size)
        end = self._filled + len(body)
        if size != len(self._payload) or end > size:
            raise WireRefused(f"a message of {self._sender} is longer than announced.")
        self._payload[self._filled : end] = body
        self._filled = end
        self._digest.update(body)

    def _header(self, frame: memoryview) -> tuple[Header, memoryview]:
        start = 1 + _LAST_HEAD.size
        length = _LAST_HEAD.unpack_from(frame, 1)[0] if len(frame) >= start else _MAX_HEADER + 1
        if length > _MAX_HEADER or len(frame) < start + length + SIGNATURE_BYTES:
            raise WireRefused(f"a message of {self._sender} is cut off.")
        raw = bytes(frame[start : start + length])
        signature = bytes(frame[start + length : start + length + SIGNATURE_BYTES])
        self._identity.require(self._sender, _PURPOSE, raw, signature)
        header = Header.from_bytes(raw)
        self._require_expected(header)
        return header, frame[start + length + SIGNATURE_BYTES :]

    def _require_expected(self, header: Header) -> None:
        if header.job != self._job:
            raise WireRefused(f"a message of {self._sender} belongs to another run.")
        if (header.sender, header.receiver) != (self._sender, self._identity.party):
            raise WireRefused(f"a message of {self._sender} is addressed from {header.sender} to {header.receiver}.")
        if header.number != self._number:
            what = "repeated" if header.number < self._number else "ahead of others that are missing"
            raise WireRefused(f"message {header.number} of {self._sender} is {what}; {self._number} is next.")


def _pieces(payload: Sequence[memoryview]) -> Iterator[list[memoryview]]:
    """The payload cut into groups of views of `CHUNK_BYTES` together, without copying."""
    group: list[memoryview] = []
    room = CHUNK_BYTES
    for part in payload:
        view = part.cast("B")
        while view.nbytes:
            cut, view = view[:room], view[room:]
            group.append(cut)
            room -= cut.nbytes
            if not room:
                yield group
                group, room = [], CHUNK_BYTES
    if group:
        yield group
