"""The control link: the handshake, then heartbeats, and one party's abort reaching the others.

Computes     the job's name (`wire.handshake`); afterwards nothing.
Adversary    a member that speaks as another one: every message is signed and numbered.
Reveals      to all parties: that a party is alive, and on abort a step's name and a constant code. Never a message
             text, which could carry data.
Not covered  a peer that keeps beating while its work is stuck; SecretFlow's receive timeout bounds that.
Assumes      TLS on the link wherever it leaves the machine (`bootstrap.new_link`).
Cost         one small message per party, peer and `_BEAT_SECONDS`.
Reference    none; failure detection by heartbeat.
"""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from veilflow.pipelines.party.bootstrap import new_link
from veilflow.pipelines.party.setup import PartySetup
from veilflow.pipelines.party.wire.errors import WireRefused
from veilflow.pipelines.party.wire.handshake import shake_hands
from veilflow.pipelines.party.wire.identity import SIGNATURE_BYTES, Identity

_BEAT_SECONDS = 2.0
_MAX_MESSAGE = 4096
_PURPOSE = "control message"


class ControlLink:
    """Watches the peers from background threads and calls ``on_loss(peer, code, node)`` once when one is lost.

    ``code`` is ``aborted`` (the peer said so, in step ``node``), ``silent`` (no heartbeat in time) or ``refused`` (what
    it said was not signed by it, or out of order).

    Raises:
        WireRefused: the handshake failed; the message says what differs.
    """

    def __init__(
        self,
        setup: PartySetup,
        identity: Identity,
        facts: Mapping[str, str],
        on_loss: Callable[[str, str, str], None],
    ) -> None:
        table = setup.addresses.control
        self._names = list(table)
        self._me = self._names.index(setup.party)
        self._identity = identity
        self._on_loss = on_loss
        self._closing = threading.Event()
        self._lost = threading.Event()
        self._send_lock = threading.Lock()
        self._number = 0
        self._link = new_link(setup, table, setup.silence_seconds * 1000, "control")
        self.job: str = shake_hands(identity, self._names, facts, self._exchange)
        """128 bits as hex, the same at every party and in no other run."""
        threading.Thread(target=self._beat, name="control-beat", daemon=True).start()
        for rank, peer in enumerate(self._names):
            if rank != self._me:
                threading.Thread(target=self._listen, args=(rank, peer), name=f"control-{peer}", daemon=True).start()

    def abort(self, node: str) -> None:
        """Tell every peer that this party stops in step ``node``."""
        self._closing.set()
        self._send({"kind": "abort", "node": node})

    def close(self) -> None:
        """Say goodbye: from now on silence is no loss."""
        self._closing.set()
        self._send({"kind": "bye"})

    def _exchange(self, raw: bytes) -> dict[str, bytes]:
        others = [(rank, peer) for rank, peer in enumerate(self._names) if rank != self._me]
        for rank, _ in others:
            self._link.send_async(rank, raw)
        return {peer: self._link.recv(rank) for rank, peer in others}

    def _send(self, message: dict[str, Any]) -> None:
        with self._send_lock:
            raw = json.dumps({**message, "job": self.job, "number": self._number}).encode()
            self._number += 1
            payload = raw + self._identity.sign(_PURPOSE, raw)
            for rank in range(len(self._names)):
                if rank != self._me:
                    self._try_send(rank, payload)

    def _try_send(self, rank: int, payload: bytes) -> None:
        try:
            self._link.send_async(rank, payload)
        except Exception:  # a peer that is gone: its own listener thread reports the loss
            self._closing.wait(0)

    def _beat(self) -> None:
        while not self._closing.wait(_BEAT_SECONDS):
            self._send({"kind": "beat"})

    def _listen(self, rank: int, peer: str) -> None:
        number = 0
        while not self._closing.is_set():
            try:
                message = parse(self._identity, peer, self.job, number, self._link.recv(rank))
            except WireRefused:
                self._report(peer, "refused", "")
                return
            except Exception:
                self._report(peer, "silent", "")
                return
            number += 1
            if message["kind"] == "bye":
                return
            if message["kind"] == "abort":
                self._report(peer, "aborted", str(message.get("node", ""))[:64])
                return

    def _report(self, peer: str, code: str, node: str) -> None:
        if self._closing.is_set() or self._lost.is_set():
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
