"""Signed messages in order: what goes around every object that crosses SecretFlow's link.

Computes     a frame around a payload, and an Ed25519 signature of the sender's over a header: job, step, label, number,
             sender, receiver, SecretFlow's sequence id, length and SHA-256 of the payload. Of the header only what the
             receiver does not know is sent (number, id, step, label); it fills in its own job, its own name, the link's
             sender, and length and digest of what arrived. A message made for anything else has another signature.
Adversary    a member of the run that speaks as another member, repeats, reorders, drops, cuts or redirects messages, or
             mixes in those of another run; anybody else where TLS is off.
Reveals      nothing that the payload does not: step names, lengths and digests go to the receiver of the payload only.
Not covered  secrecy (TLS does that); a sender that signs nonsense of its own; traffic between SPU ranks and inside PSI,
             which the libraries send themselves (`link_check` makes sure who is at the other end).
Assumes      keys in `Identity` are right; the job is fresh (`handshake`).
Cost         one signature (35 us) and one check (120 us) per message, SHA-256 on both sides (0.6 ms per MB), 85 bytes
             and the names of step and label.
Reference    the number per direction and the signed receiver follow TLS 1.3's record layer, RFC 8446 section 5.3.
"""

import hashlib
import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from veilflow.pipelines.party.wire.errors import WireRefused
from veilflow.pipelines.party.wire.identity import SIGNATURE_BYTES, Identity

CHUNK_BYTES = 1 << 20
"""A payload longer than this travels in pieces, so that hashing, TLS and the network work at the same time."""
MAX_PAYLOAD = 4 << 30
"""A longer message is refused before memory is taken for it."""
_PIECE, _LAST = b"P", b"M"
_PIECE_HEAD = struct.Struct("<Q")
_LAST_HEAD = struct.Struct("<QQHH")
"""Number, sequence id, and the lengths of step and label, which follow."""
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
        """What is signed; both ends make it from the same values."""
        return json.dumps(vars(self)).encode()

    def to_wire(self) -> bytes:
        """What the receiver cannot know."""
        step, what = self.step.encode(), self.what.encode()
        if max(len(step), len(what)) >= 1 << 16:
            raise WireRefused("a step's or a label's name is too long to be sent.")
        return _LAST_HEAD.pack(self.number, self.seq, len(step), len(what)) + step + what


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
        self._number += 1
        yield b"".join([_LAST, header.to_wire(), self._identity.sign(_PURPOSE, header.to_bytes()), inline])
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
        number, seq, step, what, signature, rest = self._parts(frame)
        if number != self._number:
            which = "repeated" if number < self._number else "ahead of others that are missing"
            raise WireRefused(f"message {number} of {self._sender} is {which}; {self._number} is next.")
        if not self._filled:
            self._payload = bytearray(rest)
            self._digest.update(rest)
            self._filled = len(rest)
        elif len(rest):
            raise WireRefused(f"a message of {self._sender} has bytes behind its end.")
        size = len(self._payload)
        if self._filled != size:
            raise WireRefused(f"a message of {self._sender} has {self._filled} bytes and should have {size}.")
        digest, me = self._digest.hexdigest(), self._identity.party
        header = Header(self._job, number, self._sender, me, step, what, seq, size, digest)
        self._identity.require(self._sender, _PURPOSE, header.to_bytes(), signature)
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

    def _parts(self, frame: memoryview) -> tuple[int, int, str, str, bytes, memoryview]:
        """Number, sequence id, step, label, signature and inline payload of a message's last frame."""
        start = 1 + _LAST_HEAD.size
        if len(frame) < start:
            raise WireRefused(f"a message of {self._sender} is cut off.")
        number, seq, step_size, what_size = _LAST_HEAD.unpack_from(frame, 1)
        names = start + step_size + what_size
        if len(frame) < names + SIGNATURE_BYTES:
            raise WireRefused(f"a message of {self._sender} is cut off.")
        try:
            step = str(frame[start : start + step_size], "utf-8")
            what = str(frame[start + step_size : names], "utf-8")
        except UnicodeDecodeError:
            raise WireRefused("a message's header cannot be read.") from None
        end = names + SIGNATURE_BYTES
        return number, seq, step, what, bytes(frame[names:end]), frame[end:]


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
