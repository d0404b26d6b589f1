"""What the control link takes for a peer's word."""

import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from veilflow.pipelines.party import control as module
from veilflow.pipelines.party.connection import PeerGone
from veilflow.pipelines.party.control import ControlLink, parse
from veilflow.pipelines.party.wire.errors import WireRefused
from veilflow.pipelines.party.wire.identity import Identity

KEYS = {party: Ed25519PrivateKey.generate() for party in ("alice", "bob", "carol")}
PINS = {party: key.public_key() for party, key in KEYS.items()}
JOB = "a" * 32
BEAT = {"kind": "beat", "job": JOB, "number": 3}


def _identity(party):
    return Identity(party, KEYS[party], PINS)


def _signed(message, by="bob", purpose="control message"):
    raw = message if isinstance(message, bytes) else json.dumps(message).encode()
    return raw + _identity(by).sign(purpose, raw)


def _parse(raw, peer="bob", number=3):
    return parse(_identity("alice"), peer, JOB, number, raw)


@pytest.mark.parametrize("kind", ["beat", "bye", "abort"])
def test_a_signed_message_in_order_is_taken(kind):
    assert _parse(_signed({**BEAT, "kind": kind}))["kind"] == kind


@pytest.mark.parametrize(
    "raw, why",
    [
        (_signed(BEAT, by="carol"), "does not carry bob's signature"),
        (_signed(BEAT, purpose="message"), "does not carry bob's signature"),
        (_signed({**BEAT, "number": 2}), "repeated, missing one before it, or of another run"),
        (_signed({**BEAT, "number": 4}), "repeated, missing one before it, or of another run"),
        (_signed({**BEAT, "job": "b" * 32}), "repeated, missing one before it, or of another run"),
        (_signed({"kind": "beat"}), "repeated, missing one before it, or of another run"),
        (_signed({**BEAT, "kind": "reboot"}), "unknown kind"),
        (_signed({**BEAT, "kind": ["beat"]}), "unknown kind"),
        (_signed([BEAT]), "unknown kind"),
        (_signed(b"{"), "unknown kind"),
        (_signed(b"\xff\xfe\x00"), "unknown kind"),
        (_signed(b"[" * 4000), "unknown kind"),
        (_signed({**BEAT, "node": "x" * 5000}), "at most 4096"),
        (b"", "0 bytes"),
        (bytes(64), "64 bytes"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_a_reason(raw, why):
    with pytest.raises(WireRefused, match=why):
        _parse(raw)


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_byte_is_refused(at, mask):
    raw = bytearray(_signed({**BEAT, "kind": "abort", "node": "train"}))
    raw[at % len(raw)] ^= mask
    with pytest.raises(WireRefused):
        _parse(bytes(raw))


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda e: st.lists(e) | st.dictionaries(st.text(), e), max_leaves=5
    )
)
def test_any_signed_document_is_a_message_or_a_refusal(document):
    with pytest.raises(WireRefused):
        _parse(_signed(document))


class Peers:
    """Stands in for `Mesh`: bob beats and takes nothing, carol takes everything; neither leaves."""

    def __init__(self, *_):
        self.taken, self.waits = [], 0

    def connect(self, seconds):
        pass

    def settle(self):
        pass

    def send(self, peer, raw):
        if peer == "bob":
            self.waits += 1
            raise PeerGone("bob", True, "takes no message")
        self.taken.append(json.loads(raw[:-64])["kind"])

    def receive(self, peer, seconds):
        threading.Event().wait()


def test_a_peer_that_takes_nothing_is_given_up_and_the_others_wait_behind_it_once(monkeypatch):
    """It beats, so it is not silent; behind it the others' beats would be late, and they would give up this party."""
    peers, lost = Peers(), []
    monkeypatch.setattr(module, "Mesh", lambda *_: peers)
    monkeypatch.setattr(module, "shake_hands", lambda *_: JOB)
    monkeypatch.setattr(module, "_BEAT_SECONDS", 0.01)
    table = dict.fromkeys(KEYS, "127.0.0.1:1")
    setup = SimpleNamespace(
        party="alice", addresses=SimpleNamespace(base=table), silence_seconds=6, connect_seconds=10, folder=Path()
    )
    link = ControlLink(
        setup, _identity("alice"), {}, SimpleNamespace(door=None, caller=None), lambda *said: lost.append(said)
    )
    end = time.monotonic() + 10
    while not lost:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert lost == [("bob", "silent", "")]
    link.abort("train", "bob", gone=True)
    assert peers.taken[-1] == "abort"
    assert peers.waits == 1
