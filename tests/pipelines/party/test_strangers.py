"""A production run under strangers: every listening socket of every party process is found, again and again until the
run ends, and spoken to in every way that a peer's library would understand. Nothing is taken and nothing changes."""

import contextlib
import os
import re
import socket
import ssl
import threading
import time
from pathlib import Path

import pyarrow.orc as orc
import pytest

from veilflow.pipelines.certs.folder import ephemeral
from veilflow.pipelines.cluster.addresses import on_loopback
from veilflow.pipelines.cluster.config import load_cluster
from veilflow.pipelines.launch.processes import PartyProcesses
from veilflow.pipelines.launch.run import run_job
from veilflow.pipelines.launch.setups import party_setup
from veilflow.pipelines.spec import load

pytestmark = pytest.mark.cluster

PARTIES = ["hospital", "insurer", "coordinator"]
PIPELINE = """
version: 1
name: strangers
parties: [hospital, insurer, coordinator]
nodes:
  patients:
    uses: data/read_table
    with: {party: hospital, path: "sample://breast_cancer/hospital", id: [person], label: malignant}
  clients: {uses: data/read_table, with: {party: insurer, path: "sample://breast_cancer/insurer", id: [person]}}
  align: {uses: alignment/psi, needs: {left: patients.table, right: clients.table}}
  scale: {uses: data/scale, needs: {data: align.table}}
  train: {uses: vertical/split_train, needs: {table: scale.table}, with: {epochs: 2, batch_size: 64}}
"""
_PUSH = b'{"sender_rank":1,"key":"root-1:P2P-505","value":"AAAA"}'
_HTTP = (
    b"POST /org.interconnection.link.ReceiverService/Push HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_PUSH), _PUSH)
)
_META = b"\x0a\x2c\x0a\x26org.interconnection.link.ReceiverService\x12\x04Push"
_BODY = b"\x08\x01\x12\x0eroot-1:P2P-505\x1a\x03AAA"
PLAIN = {
    "HTTP/1": _HTTP,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    "baidu_std": b"PRPC" + (len(_META) + len(_BODY)).to_bytes(4, "big") + len(_META).to_bytes(4, "big") + _META + _BODY,
    "a frame of ours": len(_PUSH).to_bytes(4, "big") + _PUSH,
}


def listening(pid):
    """(host, port) of every TCP socket on which process ``pid`` listens, and paths of its Unix ones."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if found := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(descriptor)):
                inodes.add(found[1])
    places, paths = set(), set()
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and rest[5] in inodes:
                address, port = local.split(":")
                words = [bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8)]
                places.add((socket.inet_ntop(family, b"".join(words)), int(port, 16)))
    for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if len(fields) == 8 and fields[6] in inodes and int(fields[3], 16) & 0x10000:
            paths.add(fields[7])
    return places, paths


class Strangers:
    """Attack what listens, in a thread of its own, until told to stop."""

    def __init__(self, made, rogue):
        self._made, self._rogue = made, rogue
        self.phase, self.pids, self.seen, self.taken, self.paths = "start", {}, {}, [], set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def finish(self):
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _run(self):
        while not self._stop.is_set():
            for party, pid in dict(self.pids).items():
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    places, paths = listening(pid)
                    self.paths |= {(party, path) for path in paths}
                    for place in places:
                        self._attack(party, place)
            time.sleep(0.05)

    def _attack(self, party, place):
        phase = self.phase
        for kind, words in PLAIN.items():
            self._note(party, place, phase, kind, self._say(place, None, words))
        other = next(name for name in PARTIES if name != party)
        for kind, files in (
            ("TLS without a certificate", None),
            ("TLS with another authority's", self._rogue[other].tls),
            ("TLS with another party's", self._made[other].tls),
        ):
            for words in (_HTTP, PLAIN["baidu_std"], PLAIN["a frame of ours"]):
                self._note(party, place, phase, kind, self._say(place, files or {}, words))
        self.seen.setdefault(phase, set()).add((party, place))

    def _note(self, party, place, phase, kind, answer):
        # What a holder of a member's certificate may hear is a random number; it must not be told anything else.
        greeting = kind == "TLS with another party's" and re.match(
            rb'.{4}\{"nonce":"[0-9a-f]{64}","clock":', answer, re.S
        )
        if answer and answer[0] != 0x15 and not (greeting and answer.endswith(b"}") and answer.count(b"{") == 1):
            self.taken.append((party, place, phase, kind, answer[:80]))

    def _say(self, place, files, words):
        """What came back; reading goes on until the other end closes, or for 2 s."""
        answer = b""
        with contextlib.suppress(OSError, ValueError), contextlib.ExitStack() as open_links:
            link = open_links.enter_context(socket.create_connection(place, 2))
            if files is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                context.set_alpn_protocols(["veilflow/2"])
                if files:
                    context.load_cert_chain(files["certificate"], files["key"])
                link = open_links.enter_context(context.wrap_socket(link))
            link.settimeout(0.3)
            link.sendall(words)
            while piece := link.recv(4096):
                answer += piece
        return answer


def _setups(folder, made):
    """As each party's own machine has them: from a cluster file, in the production profile."""
    file = folder / "pipeline.yaml"
    file.write_text(PIPELINE)
    addresses = on_loopback(PARTIES, {"spu": PARTIES})
    base = addresses.base
    rows = [f'  {party}: {{address: "{base[party]}", signing_key: "{made[party].pin}"}}' for party in PARTIES]
    setups = {}
    for party in PARTIES:
        own = made[party]
        tls = f'{{ca: "{own.ca}", certificate: "{own.certificate}", key: "{own.key}"}}'
        text = "\n".join(["version: 1", "parties:", *rows, f"tls: {tls}", f'identity: "{own.identity}"', ""])
        cluster = folder / f"{party}.yaml"
        cluster.write_text(text)
        setups |= party_setup(load(file), folder / "out", load_cluster(cluster), party)
    return file, setups


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strangers")
    made = ephemeral(folder / "certs", PARTIES)
    file, setups = _setups(folder, made)
    assert {setup.profile for setup in setups.values()} == {"production"}
    strangers, events = Strangers(made, ephemeral(folder / "rogue", PARTIES)), []

    def on_event(event):
        events.append(event)
        if event.kind == "starting":
            strangers.pids[event.party] = event.body["pid"]
        if event.kind == "node_started":
            strangers.phase = event.body["node"]

    try:
        with PartyProcesses(setups).start(on_event) as processes:
            processes.run(run_job(file, [], True), on_event)
            strangers.phase = "end"
            until = time.monotonic() + 20
            while len(strangers.seen.get("end", ())) < 3 and time.monotonic() < until:
                time.sleep(0.05)
    finally:
        strangers.finish()
    return folder / "out", strangers, events


def test_every_port_is_found_in_every_phase_and_it_is_one_per_party(attacked):
    _, strangers, _ = attacked
    assert {"start", "align", "train", "end"} <= set(strangers.seen)
    assert {party for party, _ in strangers.seen["end"]} == set(PARTIES)
    assert len({place for found in strangers.seen.values() for place in found}) == len(PARTIES)


def test_no_stranger_is_answered_on_any_port_in_any_phase(attacked):
    assert attacked[1].taken == []


def test_the_run_ends_well_with_the_result_that_it_has_without_strangers(attacked):
    out, _, events = attacked
    assert not [event for event in events if event.kind in ("failed", "peer_lost")]
    people = {}
    for party in ("hospital", "insurer"):
        (table,) = [
            file
            for file in (out / party / "artifacts").glob("*/table")
            if (file.parent / ".node").read_text() == "align"
        ]
        people[party] = sorted(orc.ORCFile(str(table)).read().to_pandas()["person"].astype(str))
    assert people["hospital"] == people["insurer"]
    assert len(people["hospital"]) == 400
    done = [event.body for event in events if event.kind == "node_done" and event.body["node"] == "train"]
    assert len(done) == len(PARTIES)


def test_what_libraries_listen_on_lies_where_only_this_user_comes(attacked):
    out, strangers, _ = attacked
    own = {(party, path) for party, path in strangers.paths if path.endswith(".own")}
    assert {party for party, _ in own} == set(PARTIES), "the SPU and PSI listen at Unix sockets"
    for party in PARTIES:
        assert (out / party).stat().st_mode & 0o077 == 0
