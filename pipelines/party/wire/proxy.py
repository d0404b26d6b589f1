"""SecretFlow's link between the parties, with the wire's rules around it: our own connections (`objects`), signed and
numbered messages, the strict decoder, the egress check, and the transcript.

Replaces SecretFlow's `BrpcLinkProxy`, which sends plain text when TLS is configured, takes plain text on its TLS port,
believes any peer about who it is, unpickles what it gets, keeps messages of all peers under one number, and drops
options it does not know.
"""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from secretflow.distributed.fed.exception import FedRemoteError
from secretflow.distributed.fed.global_context import GlobalContext
from secretflow.distributed.fed.object import FedObject
from secretflow.distributed.fed.proxy.brpc_link.brpc_link import BrpcLinkCrossSiloMessageConfig, BrpcLinkProxy

from veilflow.components.devices.labels import current
from veilflow.components.errors import InternalError
from veilflow.pipelines.party.wire.codec import decode, encode
from veilflow.pipelines.party.wire.envelope import Header, Receiver, Sender
from veilflow.pipelines.party.wire.errors import EgressRefused, PeerStalled, WireRefused
from veilflow.pipelines.party.wire.gate import Gate, Tag
from veilflow.pipelines.party.wire.identity import Identity
from veilflow.pipelines.party.wire.objects import ObjectLinks
from veilflow.pipelines.party.wire.transcript import Transcript

log = logging.getLogger("veilflow")

MAX_WAITING = 1 << 16
"""Messages of one peer that nobody has asked for yet."""


@dataclass(frozen=True)
class RemoteFailure:
    """What travels instead of an exception: who failed, and where that party's own log says why."""

    party: str
    reference: str


@dataclass
class Wire:
    """A party's end of the wire, shared by the proxy, the runner and the tests."""

    identity: Identity
    gate: Gate
    transcript: Transcript
    on_refusal: Callable[[Exception], None]
    """Called once for a message that is refused, ours or a peer's, or that never came; ends the process."""
    step: str = ""
    """The step that the main thread works on."""


class SecureLinkProxy(BrpcLinkProxy):  # type: ignore[misc]
    """A `SenderReceiverProxy` for `secretflow.init`; SecretFlow calls `send` and `recv` from one thread each."""

    def __init__(
        self,
        wire: Wire,
        links: ObjectLinks,
        connect_seconds: float,
        addresses: dict[str, Any],
        self_party: str,
        job_name: str,
        tls_config: dict[str, str] | None = None,
        proxy_config: dict[str, Any] | None = None,
    ) -> None:
        _require_known(proxy_config or {})
        super().__init__(addresses, self_party, job_name, tls_config, proxy_config)
        self._wire, self._links, self._connect_seconds = wire, links, connect_seconds
        self._linker: Any = None
        peers = [party for party in self._addresses if party != self_party]
        self._senders = {peer: Sender(wire.identity, job_name, peer) for peer in peers}
        self._receivers = {peer: Receiver(wire.identity, job_name, peer) for peer in peers}
        self._arrived: dict[str, dict[int, tuple[Tag, Any]]] = {peer: {} for peer in peers}
        self._tags: dict[tuple[str, int], Tag] = {}
        self._wanted: dict[tuple[str, int], Tag] = {}

    def start(self) -> None:
        """Connect.

        Raises:
            PeerGone: a peer did not come.
        """
        self._links.start(self._connect_seconds)
        self._linker = self._links

    def attach(self, context: GlobalContext) -> None:
        """Note step and label of every object at the moment it is queued or asked for, in the main thread.

        Both ends come to that moment in the same statement. What a peer says about an object is held to it, so that a
        member cannot use a more generous line of another step.
        """
        original, original_recv = context.send, context.recv

        def send(target_party: str, fed_obj: FedObject) -> None:
            if not fed_obj.is_sent(target_party):
                self._tags[target_party, fed_obj.get_seq_id()] = Tag(self._wire.step, current())
            original(target_party, fed_obj)

        def recv(fed_obj: FedObject) -> FedObject:
            if not fed_obj.has_object():
                self._wanted[fed_obj.get_party(), fed_obj.get_seq_id()] = Tag(self._wire.step, current())
            return original_recv(fed_obj)

        context.send, context.recv = send, recv

    def send(self, dest_party: str, data: Any, seq_id: int) -> bool:
        """Check, sign and send one object; where it may not leave, the run ends here.

        Raises:
            EgressRefused: it is not among what the step may send.
            WireRefused: it cannot travel.
        """
        try:
            self._send(dest_party, data, seq_id)
        except (EgressRefused, WireRefused) as refusal:
            self._wire.on_refusal(refusal)
            raise
        return True

    def _send(self, dest_party: str, data: Any, seq_id: int) -> None:
        tag = self._tags.pop((dest_party, seq_id), Tag("", ""))
        value = self._without_exception(data)
        seen = self._wire.gate.admit_out(tag, dest_party, value)
        rank = self._parties_rank[dest_party]
        for frame in self._senders[dest_party].frames(tag.step, tag.what, seq_id, encode(value)):
            if isinstance(frame, Header):
                self._wire.transcript.note("out", dest_party, frame, seen)
            else:
                self._linker.send_async(rank, frame)

    def recv(self, src_party: str, seq_id: int) -> Any:
        """The object ``seq_id`` of ``src_party``.

        Raises:
            WireRefused: the peer's next message breaks a rule.
            PeerStalled: it did not come in time.
        """
        arrived = self._arrived[src_party]
        try:
            while seq_id not in arrived:
                self._take(src_party, self._next_frame(src_party))
        except (WireRefused, PeerStalled) as refusal:
            self._wire.on_refusal(refusal)
            raise
        tag, value = arrived.pop(seq_id)
        try:
            self._require_wanted(tag, src_party, seq_id)
        except WireRefused as refusal:
            self._wire.on_refusal(refusal)
            raise
        if isinstance(value, RemoteFailure):
            return FedRemoteError(src_party, InternalError(src_party, value.reference))
        return value

    def _next_frame(self, peer: str) -> bytes:
        frame: bytes = self._linker.recv(self._parties_rank[peer])
        return frame

    def _take(self, peer: str, frame: bytes) -> None:
        message = self._receivers[peer].take(frame)
        if message is None:
            return
        header, payload = message
        arrived = self._arrived[peer]
        if header.seq in arrived or len(arrived) >= MAX_WAITING:
            raise WireRefused(f"{peer} sent object {header.seq} twice, or more than {MAX_WAITING} that nobody wants.")
        value = decode(payload)
        tag = Tag(header.step, header.what)
        seen = self._wire.gate.admit_in(tag, peer, value)
        self._wire.transcript.note("in", peer, header, seen)
        arrived[header.seq] = (tag, value)

    def _require_wanted(self, tag: Tag, peer: str, seq_id: int) -> None:
        wanted = self._wanted.pop((peer, seq_id), tag)
        if tag != wanted:
            raise WireRefused(
                f"{peer} sent object {seq_id} as {tag.what!r} of step '{tag.step}'; "
                f"here it is {wanted.what!r} of step '{wanted.step}'."
            )

    def _without_exception(self, data: Any) -> Any:
        """SecretFlow sends the exception of a task that failed, data in its text included; peers get a reference."""
        if not isinstance(data, FedRemoteError):
            return data
        cause = data.cause()
        if isinstance(cause, InternalError):
            return RemoteFailure(cause.party, cause.reference)
        reference = secrets.token_hex(4)
        log.error("internal error %s, told to a peer", reference, exc_info=cause)
        return RemoteFailure(self._party, reference)


def install(wire: Wire, links: ObjectLinks, connect_seconds: float) -> list[SecureLinkProxy]:
    """Let `secretflow.init` build our proxy; it is appended to the returned list."""
    from secretflow.distributed.fed import api

    made: list[SecureLinkProxy] = []

    def build(*args: Any, **kwargs: Any) -> SecureLinkProxy:
        made.append(SecureLinkProxy(wire, links, connect_seconds, *args, **kwargs))
        return made[-1]

    api.BrpcLinkProxy = build
    return made


def _require_known(options: dict[str, Any]) -> None:
    known = {each.name for each in fields(BrpcLinkCrossSiloMessageConfig)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise WireRefused(f"unknown option(s) of the link: {', '.join(unknown)}. SecretFlow would ignore them.")
