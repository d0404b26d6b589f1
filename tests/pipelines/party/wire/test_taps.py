"""What somebody on the network sees: a tap between two parties, with a marker planted in what they send."""

import json
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from veilflow.pipelines.cluster.addresses import Addresses
from veilflow.pipelines.launch.identities import with_new_identities
from veilflow.pipelines.party.setup import SpuDevice

pytestmark = pytest.mark.cluster
PARTIES = ["hospital", "insurer"]
MARKER = "PATIENT-HBA1C-9.7"
MARKS = {"port": [MARKER.encode(), b'"nonce"'], "spu": [b"ReceiverService"]}
"""In the clear on each port: a published value and a word of the handshake; yacl's own name for a message. With TLS
all of it goes through the party's port."""


class Tap:
    """Forwards TCP connections to ``port`` and keeps what passed, per connection and direction."""

    def __init__(self, port: int) -> None:
        self._target, self.streams = port, []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._sockets = [self._server]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:  # the owner does not listen yet; the caller tries again
                near.close()
                continue
            self._sockets += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(source, target), daemon=True).start()

    def _copy(self, source, target):
        seen = bytearray()
        self.streams.append(seen)
        try:
            while piece := source.recv(1 << 16):
                seen.extend(piece)
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self):
        for each in self._sockets:
            each.close()


def talks(context):
    from secretflow.device import PYU

    from veilflow.components.devices.pyu import publish, run_on

    published = publish(run_on("hospital", lambda: {"note": MARKER * 5}))
    device = context.make_spu()
    one, two = (PYU(party)(lambda: 20.0)().to(device) for party in PARTIES)
    total = device(lambda a, b: a + b)(one, two).to(PYU("insurer"))
    return published["note"][: len(MARKER)], publish(run_on("insurer", float, total))


def _tapped(setups, party):
    """``party``'s view of the others' addresses, each behind a tap; the taps by link."""
    taps, tables = {}, json.loads(setups[party].addresses.to_json())
    for link, table in (("port", tables["base"]), ("spu", tables["devices"]["spu"])):
        (peer,) = set(table) - {party}
        taps[link] = Tap(int(table[peer].rsplit(":", 1)[1]))
        table[peer] = taps[link].address
    return replace(setups[party], addresses=Addresses(**tables)), taps


@pytest.fixture(scope="module")
def tapped(tmp_path_factory, loopback, play_all):
    """(tls, link) -> every byte stream that passed, and the outcomes by tls."""
    scenarios, taps = {}, []
    for tls in (False, True):
        folder = tmp_path_factory.mktemp(f"tap_{tls}")
        plain = loopback(folder, PARTIES, {"spu": SpuDevice(PARTIES, "CHEETAH")})
        setups = with_new_identities(plain, tls)
        for party in PARTIES:
            setups[party], found = _tapped({**setups, party: setups[party]}, party)
            taps += [((tls, link), tap) for link, tap in found.items()]
        job = {"job": "call", "function": f"{Path(__file__).resolve()}:talks", "args": []}
        scenarios[tls] = (folder, setups, job)
    outcomes = play_all(scenarios, at_once=2)
    streams = {}
    for key, tap in taps:
        tap.close()
        streams.setdefault(key, []).extend(bytes(stream) for stream in tap.streams if stream)
    return streams, outcomes


@pytest.mark.parametrize("tls", [False, True])
def test_the_tap_is_in_the_way_and_the_run_works(tapped, tls):
    streams, outcomes = tapped
    assert outcomes[tls].results == {party: [MARKER, 40.0] for party in PARTIES}, outcomes[tls].message
    for link in MARKS if not tls else ["port"]:
        assert len(streams[tls, link]) >= 2
        assert sum(map(len, streams[tls, link])) > 500
    assert bool(streams[tls, "spu"]) != tls, "with TLS no port but the party's is called"


@pytest.mark.parametrize("link", MARKS)
def test_without_tls_the_marker_is_on_the_wire(tapped, link):
    """Otherwise the next test would show nothing."""
    for mark in MARKS[link]:
        assert any(mark in stream for stream in tapped[0][False, link])


def test_with_tls_it_is_not_and_every_stream_is_a_tls_record(tapped):
    streams = tapped[0][True, "port"]
    for stream in streams:
        assert stream[0] == 0x16
        assert not any(mark in stream for marks in MARKS.values() for mark in marks)
    assert sum(map(len, streams)) > sum(map(len, tapped[0][False, "spu"])), "the SPU's messages are among them"
