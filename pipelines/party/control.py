"""The control link: heartbeats, and one party's abort reaching the others.

Computes     nothing.
Reveals      to all parties: that a party is alive, and on abort a step's name and a constant code. Never a message
             text, which could carry data.
Not covered  a peer that keeps beating while its work is stuck; SecretFlow's receive timeout bounds that.
Assumes      TLS on the link wherever it leaves the machine (`bootstrap.new_link`).
Cost         one small message per party, peer and `_BEAT_SECONDS`.
"""

import json
import threading
from collections.abc import Callable
from typing import Any

from veilflow.pipelines.party.bootstrap import new_link
from veilflow.pipelines.party.setup import PartySetup

_BEAT_SECONDS = 2.0
_MAX_MESSAGE = 4096


class ControlLink:
    """Watches the peers from background threads and calls ``on_loss(peer, code, node)`` once when one is lost.

    ``code`` is ``aborted`` (the peer said so, in step ``node``) or ``silent`` (no heartbeat in time).
    """

    def __init__(self, setup: PartySetup, on_loss: Callable[[str, str, str], None]) -> None:
        table = setup.addresses.control
        self._names = list(table)
        self._me = self._names.index(setup.party)
        self._on_loss = on_loss
        self._closing = threading.Event()
        self._lost = threading.Event()
        self._send_lock = threading.Lock()
        self._link = new_link(setup, table, setup.silence_seconds * 1000, "control")
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

    def _send(self, message: dict[str, str]) -> None:
        payload = json.dumps(message).encode()
        with self._send_lock:
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
        while not self._closing.is_set():
            try:
                message = _parse(self._link.recv(rank))
            except Exception:
                self._report(peer, "silent", "")
                return
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


def _parse(raw: bytes) -> dict[str, Any]:
    if len(raw) > _MAX_MESSAGE:
        raise ValueError(f"control message of {len(raw)} bytes, at most {_MAX_MESSAGE} are accepted")
    message = json.loads(raw)
    if not isinstance(message, dict) or message.get("kind") not in {"beat", "bye", "abort"}:
        raise ValueError("control message of unknown kind")
    return message
