"""The control link: the handshake, then heartbeats, and one party's abort reaching the others.

Computes     the job's name (`wire.handshake`); afterwards nothing.
Adversary    a member that speaks as another one: every message is signed and numbered.
Reveals      to all parties: that a party is alive, and on abort a step's name, a constant code, and which peer was
             lost. Never a message text, which could carry data.
Not covered  a peer that keeps beating while its work is stuck: `PartySetup.stall_minutes` bounds every receive.
Assumes      TLS on the link wherever it leaves the machine (`front.tls`).
Cost         one small message per party, peer and `_BEAT_SECONDS`.
Reference    none; failure detection by heartbeat, and by the kernel's word that a connection was closed.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from veilflow.pipelines.party.connection import PeerGone
from veilflow.pipelines.party.front.front import Front
from veilflow.pipelines.party.mesh import Mesh
from veilflow.pipelines.party.setup import PartySetup
from veilflow.pipelines.party.wire.errors import WireRefused
from veilflow.pipelines.party.wire.handshake import shake_hands
from veilflow.pipelines.party.wire.identity import SIGNATURE_BYTES, Identity

LOST = frozenset({"gone", "silent", "given_up"})
"""Codes of a loss after which the same run may succeed when all are there again."""
_BEAT_SECONDS = 2.0
_SLICE_SECONDS = 0.05
_MAX_MESSAGE = 4096
_PURPOSE = "control message"
_REFUSED = b"refused"


class ControlLink:
    """Watches the peers from background threads and calls ``on_loss(peer, code, node)`` once when one is lost.

    ``code`` is ``aborted`` (the peer said so, in step ``node``), ``gone`` (its process has ended, or another party says
    that it lost it), ``given_up`` (it says that it lost us), ``silent`` (no heartbeat in time) or ``refused`` (what it
    said was not signed by it, or out of order).

    Raises:
        PeerGone: a peer did not come in time, or left during the handshake.
        PeerAtFault: a peer, or this party, cannot take part as it is set up.
        WireRefused: the handshake failed; the message says what differs.
    """

    def __init__(
        self,
        setup: PartySetup,
        identity: Identity,
        facts: Mapping[str, str],
        front: Front,
        on_loss: Callable[[str, str, str], None],
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        table = setup.addresses.base
        self._peers = [party for party in table if party != setup.party]
        self._silence, self._patience = float(setup.silence_seconds), float(setup.connect_seconds)
        self._identity = identity
        self._on_loss = on_loss
        self._closing = threading.Event()
        self._lost = threading.Event()
        self._sending, self._verdict = threading.Lock(), threading.Lock()
        self._number = 0
        self._deaf: set[str] = set()
        """Peers that took nothing for too long; the kernel holds minutes of beats for one that is only slow."""
        self.job = ""
        """128 bits as hex, the same at every party and in no other run."""
        gone = lambda peer: self._report(peer, "gone", "")  # noqa: E731
        self._mesh = Mesh(setup.party, table, front.door, front.caller, gone, tell)
        self._mesh.connect(setup.connect_seconds)
        try:
            self.job = shake_hands(identity, list(table), facts, self._exchange)
        except WireRefused:
            self._tell_all(_REFUSED)
            raise
        self._mesh.settle()
        self._heard = dict.fromkeys(self._peers, time.monotonic())
        threading.Thread(target=self._beat, name="control-beat", daemon=True).start()
        for peer in self._peers:
            threading.Thread(target=self._listen, args=(peer,), name=f"control-{peer}", daemon=True).start()

    def abort(self, node: str, cause: str = "", gone: bool = False) -> None:
        """Tell every peer that this party stops in step ``node``.

        Args:
            cause: the peer on whose account, where it is not this party's own.
            gone: that peer cannot be heard any more.
        """
        self._closing.set()
        self._send({"kind": "abort", "node": node, "cause": cause, "gone": gone})

    def close(self) -> None:
        """Say goodbye: from now on silence is no loss."""
        self._closing.set()
        self._send({"kind": "bye"})

    def hear_everyone(self) -> None:
        """Return once every peer was heard anew. If one is lost, ``on_loss`` is called meanwhile, as always.

        For a failure that nobody expected: links of the libraries fail in their own ways when a peer is lost, often
        before its silence has lasted long enough.
        """
        since = time.monotonic()
        end = since + self._silence + 2 * _BEAT_SECONDS
        while time.monotonic() < end and (self._lost.is_set() or min(self._heard.values()) <= since):
            time.sleep(0.05)

    def _exchange(self, raw: bytes) -> dict[str, bytes]:
        for peer in self._peers:
            self._mesh.send(peer, raw)
        found: dict[str, bytes] = {}
        end = time.monotonic() + self._patience
        while len(found) < len(self._peers):
            self._mesh.require_no_fault()
            for peer in [name for name in self._peers if name not in found]:
                try:
                    found[peer] = self._mesh.receive(peer, _SLICE_SECONDS)
                except PeerGone as loss:  # one that died is noticed while we wait for another
                    if not loss.silent:
                        self._mesh.ask(peer)
                    if not loss.silent or time.monotonic() > end:
                        raise
                    continue
                if found[peer] == _REFUSED:
                    raise WireRefused(f"{peer} refused the handshake; its own message says why.")
        return found

    def _send(self, message: dict[str, Any]) -> None:
        with self._sending:
            raw = json.dumps({**message, "job": self.job, "number": self._number}).encode()
            self._number += 1
            self._tell_all(raw + self._identity.sign(_PURPOSE, raw))

    def _tell_all(self, payload: bytes) -> None:
        for peer in self._peers:
            if peer not in self._deaf:
                try:
                    self._mesh.send(peer, payload)
                except PeerGone as loss:  # of one that has closed, its own listener reports the loss
                    if loss.silent:
                        self._deaf.add(peer)

    def _beat(self) -> None:
        while not self._closing.wait(_BEAT_SECONDS):
            self._send({"kind": "beat"})
            for peer in sorted(self._deaf):  # it beats and takes nothing: the others must not wait behind it
                self._report(peer, "silent", "")

    def _listen(self, peer: str) -> None:
        number = 0
        while not self._closing.is_set():
            try:
                message = parse(self._identity, peer, self.job, number, self._mesh.receive(peer, self._silence))
            except WireRefused:
                self._report(peer, "refused", "")
                return
            except PeerGone as loss:
                self._report(peer, "silent" if loss.silent else "gone", "")
                return
            number += 1
            self._heard[peer] = time.monotonic()
            if message["kind"] == "bye":
                return
            if message["kind"] == "abort":
                self._aborted(peer, message)
                return

    def _aborted(self, peer: str, message: Mapping[str, Any]) -> None:
        cause, node = message.get("cause"), str(message.get("node", ""))[:64]
        about = str(cause) if cause in self._peers else peer
        lost = "given_up" if cause == self._identity.party else "gone"
        self._report(about, lost if message.get("gone") is True else "aborted", node)

    def _report(self, peer: str, code: str, node: str) -> None:
        with self._verdict:
            if self._closing.is_set() or self._lost.is_set() or not self.job:
                return
            self._lost.set()
        self._on_loss(peer, code, node)


def parse(identity: Identity, peer: str, job: str, number: int, raw: bytes) -> dict[str, Any]:
    """A control message of ``peer``.

    Raises:
        WireRefused: too long, not signed by ``peer``, of another job, repeated, or of an unknown kind.
    """
    if not SIGNATURE_BYTES < len(raw) <= _MAX_MESSAGE:
        raise WireRefused(f"control message of {len(raw)} bytes, at most {_MAX_MESSAGE} are accepted")
    text, signature = raw[:-SIGNATURE_BYTES], raw[-SIGNATURE_BYTES:]
    identity.require(peer, _PURPOSE, text, signature)
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict) or message.get("kind") not in ("beat", "bye", "abort"):
        raise WireRefused(f"control message of {peer} of unknown kind")
    if (message.get("job"), message.get("number")) != (job, number):
        raise WireRefused(f"control message of {peer} is repeated, missing one before it, or of another run")
    return message
