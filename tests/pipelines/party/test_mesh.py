"""Finding each other: who is let in, what a second coming means, and how long anybody waits. Threads, no SecretFlow."""

import socket
import threading
import time

import pytest

from veilflow.pipelines.certs.folder import ephemeral
from veilflow.pipelines.certs.keys import load_signing_key, new_signing_key, parse_public
from veilflow.pipelines.cluster.addresses import on_loopback
from veilflow.pipelines.party import mesh as mesh_module
from veilflow.pipelines.party.connection import Connection, PeerAtFault, PeerGone
from veilflow.pipelines.party.front.calling import Caller
from veilflow.pipelines.party.front.door import Door
from veilflow.pipelines.party.front.tls import Tls
from veilflow.pipelines.party.mesh import Mesh
from veilflow.pipelines.party.wire.identity import Identity

PARTIES = ["a", "b", "c"]


class World:
    """Keys and addresses of three parties, and their meshes."""

    def __init__(self, folder, tls):
        self.made = ephemeral(folder, PARTIES)
        self.pins = {party: parse_public(files.pin) for party, files in self.made.items()}
        self.addresses = on_loopback(PARTIES, {}).base
        self.tls, self.open, self.returned, self.told = tls, [], [], []

    def mesh(self, party, key=None, tls=None, addresses=None):
        key = key or load_signing_key(self.made[party].identity)
        pins = {**self.pins, party: key.public_key()}
        files = (tls or self.made[party].tls) if self.tls else None
        table, secured, identity = addresses or self.addresses, Tls.of(files), Identity(party, key, pins)
        door = Door(identity, table[party], None, secured, frozenset(["127.0.0.1"]))
        made = Mesh(
            party, table, door, Caller(identity, table, secured),
            lambda peer: self.returned.append((party, peer)), lambda text: self.told.append((party, text)),
        )  # fmt: skip
        self.open += [made, door]
        made.door = door
        return made

    def close(self):
        for mesh in self.open:
            mesh.close()


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def world(tmp_path, request):
    made = World(tmp_path, request.param)
    yield made
    made.close()


def _connect(meshes, seconds=10.0):
    """Connect them at the same time; what each raised, or None."""
    raised = {}

    def connect(name, mesh):
        try:
            mesh.connect(seconds)
            raised[name] = None
        except (PeerAtFault, PeerGone) as error:
            raised[name] = error

    threads = [threading.Thread(target=connect, args=each) for each in meshes.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 20)
        assert not thread.is_alive(), "a wait without bound"
    return raised


def test_everyone_meets_and_frames_of_any_size_arrive_whole_and_in_order(world):
    meshes = {party: world.mesh(party) for party in PARTIES}
    assert set(_connect(meshes).values()) == {None}
    sent = [b"", b"x", bytes(range(256)) * 400, b"end"]
    for frame in sent:
        meshes["a"].send("c", frame)
    assert [meshes["c"].receive("a", 5) for _ in sent] == sent


def test_a_closed_peer_is_noticed_at_once_and_a_silent_one_in_time(world):
    meshes = {party: world.mesh(party) for party in PARTIES}
    _connect(meshes)
    began = time.monotonic()
    with pytest.raises(PeerGone, match="b was silent for 1 s") as silent:
        meshes["a"].receive("b", 1)
    assert silent.value.silent
    assert 0.9 < time.monotonic() - began < 3
    meshes["b"].close()
    began = time.monotonic()
    with pytest.raises(PeerGone, match=r"b has closed its connection|b has ended TLS") as gone:
        meshes["a"].receive("b", 30)
    assert not gone.value.silent
    assert time.monotonic() - began < 3


def test_one_that_dies_while_others_are_awaited_may_come_again(world):
    first, b = world.mesh("c"), world.mesh("b")
    threads = [threading.Thread(target=_connect, args=({"x": mesh}, 3.0)) for mesh in (first, b)]
    for thread in threads:
        thread.start()
    time.sleep(1)  # b and c have met, a is missing
    first.close()
    first.door.close()
    second = world.mesh("c")
    assert _connect({"c": second, "a": world.mesh("a")}) == {"c": None, "a": None}
    second.send("b", b"from the second")
    threads[1].join(10)
    assert b.receive("c", 5) == b"from the second"
    threads[0].join(10)


def test_a_party_that_comes_a_second_time_tells_the_others_that_its_first_process_is_lost(world):
    meshes = {party: world.mesh(party) for party in PARTIES}
    _connect(meshes)
    meshes["c"].close()
    meshes["c"].door.close()
    again = world.mesh("c")
    (error,) = _connect({"c": again}, 1.0).values()
    assert "is still busy with an earlier attempt" in str(error)
    time.sleep(0.5)
    assert {("a", "c"), ("b", "c")} <= set(world.returned)


def test_who_does_not_hold_the_pinned_key_is_not_let_in(world):
    liar = world.mesh("b", key=new_signing_key())
    raised = _connect({"a": world.mesh("a"), "b": liar}, 2.0)
    assert {error.peer for error in raised.values()} == {"b"}
    assert "who it says it is" in str(raised["b"]) or "does not accept the signing key" in str(raised["b"])
    assert world.returned == []


def test_strangers_neither_get_in_nor_keep_others_out(world):
    meshes = {party: world.mesh(party) for party in PARTIES}
    host, port = world.addresses["a"].split(":")
    strangers = [socket.create_connection((host, int(port))) for _ in range(5)]
    strangers[0].sendall(b"GET / HTTP/1.1\r\n\r\n")
    strangers[1].sendall(b"\xff" * 100)
    strangers[2].close()
    assert set(_connect(meshes).values()) == {None}
    for stranger in strangers:
        stranger.close()
    assert world.returned == []


def test_a_certificate_of_another_authority_is_refused_with_the_reason(tmp_path):
    world = World(tmp_path / "real", True)
    rogue = ephemeral(tmp_path / "rogue", ["b"])["b"].tls
    began = time.monotonic()
    raised = _connect({"a": world.mesh("a"), "b": world.mesh("b", tls=rogue), "c": world.mesh("c")}, 60.0)
    world.close()
    assert time.monotonic() - began < 40
    for party in "abc":
        assert isinstance(raised[party], PeerAtFault), raised
    assert {raised["a"].peer, raised["c"].peer} == {"b"}
    assert "certificate" in str(raised["a"])


def test_a_frame_that_claims_to_be_huge_ends_the_connection():
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        theirs.sendall((1 << 30).to_bytes(4, "big"))
        connection = Connection.__new__(Connection)  # a Unix socket has no TCP options
        connection._socket, connection.peer, connection._received = ours, "b", bytearray()
        connection._one_at_a_time = threading.Lock()
        with pytest.raises(PeerGone, match="sent a control frame of 1073741824 bytes"):
            connection.receive(2)


@pytest.mark.parametrize("days", [-60, 60], ids=["expired", "not yet valid"])
def test_a_certificate_that_is_not_valid_now_ends_the_wait_of_everybody_at_once_and_names_its_owner(
    tmp_path, days, authority
):
    world = World(tmp_path / "real", True)
    files = {party: authority.files(party, days_ago=-days if party == "b" else 0) for party in PARTIES}
    began = time.monotonic()
    raised = _connect({party: world.mesh(party, tls=files[party]) for party in PARTIES}, 60.0)
    world.close()
    assert time.monotonic() - began < 40
    assert {party: type(error) for party, error in raised.items()} == dict.fromkeys(PARTIES, PeerAtFault)
    assert {error.peer for error in raised.values()} == {"b"}
    assert "clock" in " ".join(map(str, raised.values()))


def test_a_name_that_nobody_knows_ends_the_wait_of_everybody_and_says_whose_it_is(world, monkeypatch):
    from veilflow.pipelines.party import mesh as module

    monkeypatch.setattr(module, "_UNRESOLVED_SECONDS", 0.5)
    wrong = {**world.addresses, "b": "no-such-host.invalid:" + world.addresses["b"].rsplit(":", 1)[1]}
    began = time.monotonic()
    meshes = {"a": world.mesh("a", addresses=wrong), "b": world.mesh("b"), "c": world.mesh("c")}
    raised = _connect(meshes, 60.0)
    for party in "bc":  # where they had met already, the news reach them before they shake hands
        if raised[party] is None:
            with pytest.raises(PeerAtFault) as caught:
                _until_fault(meshes[party], "a")
            raised[party] = caught.value
    assert time.monotonic() - began < 40
    assert {error.peer for error in raised.values()} == {"b"}
    assert "whose name 'no-such-host.invalid' is not known here" in str(raised["a"])
    assert "the name in its address is not known at a" in str(raised["b"])
    assert "the name in its address is not known at a" in str(raised["c"])


def _until_fault(mesh, peer):
    """As `ControlLink` waits for a peer's word."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        mesh.require_no_fault()
        try:
            mesh.receive(peer, 0.05)
        except PeerGone as loss:
            if not loss.silent:
                mesh.ask(peer)


def test_who_never_came_is_named_and_not_who_has_just_stopped_waiting_for_it(world):
    """Parties that wait for the same one do not stop at the same moment; the first to stop is then missing, too."""
    waiting, other = world.mesh("a"), world.mesh("c")
    raised = {}

    def connect(party, mesh, seconds):
        try:
            mesh.connect(seconds)
        except PeerGone as gone:
            raised[party] = gone
            mesh.door.close()

    threads = [threading.Thread(target=connect, args=each) for each in (("a", waiting, 1.5), ("c", other, 3))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert {party: gone.peer for party, gone in raised.items()} == {"a": "b", "c": "b"}


def test_who_is_late_is_told_of_while_it_is_waited_for(world, monkeypatch):
    monkeypatch.setattr(mesh_module, "_OVERDUE_SECONDS", 0.3)
    mesh = world.mesh("a")
    with pytest.raises(PeerGone):
        mesh.connect(1)
    assert ("a", "waiting for b: it does not listen (connection refused)") in world.told
