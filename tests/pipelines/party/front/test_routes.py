"""Libraries' links under a member that floods, comes for another run, or answers nonsense: others get through."""

import contextlib
import logging
import socket
import threading
import time

import pytest
from cryptography import x509

from veilflow.pipelines.certs.keys import new_signing_key
from veilflow.pipelines.cluster.addresses import on_loopback
from veilflow.pipelines.party.front import routes as module
from veilflow.pipelines.party.front import tls
from veilflow.pipelines.party.front.calling import Caller, CallFailed
from veilflow.pipelines.party.front.door import Door
from veilflow.pipelines.party.front.routes import Routes
from veilflow.pipelines.party.wire.identity import Identity

PARTIES = ["a", "b", "c"]


class World:
    """Party ``a`` with a library that listens on link ``spu``, and the other two as callers."""

    def __init__(self, folder, authority):
        keys = {party: new_signing_key() for party in PARTIES}
        pins = {party: key.public_key() for party, key in keys.items()}
        self.addresses, self.told, self.links = on_loopback(PARTIES, {}).base, [], []
        secured = {party: tls.Tls.of(authority.files(party)) for party in PARTIES}
        who = {party: Identity(party, keys[party], pins) for party in PARTIES}
        self.callers = {party: Caller(who[party], self.addresses, secured[party]) for party in PARTIES}
        self.door = Door(who["a"], self.addresses["a"], None, secured["a"], frozenset(), self.told.append)
        self.routes = Routes("a", folder / "links", self.door, self.callers["a"], "job")
        self.table = self.routes.addresses("spu", PARTIES)
        self.library = socket.socket(socket.AF_UNIX)
        self.library.bind(self.table["a"].removeprefix("unix:"))

    def echo(self):
        """Answer every connection with what it says."""
        self.library.listen(256)

        def run():
            with contextlib.suppress(OSError):
                while True:
                    link, _ = self.library.accept()
                    threading.Thread(target=lambda link=link: self._echo(link), daemon=True).start()

        threading.Thread(target=run, daemon=True).start()

    def _echo(self, link):
        with contextlib.suppress(OSError), link:
            while piece := link.recv(1 << 16):
                link.sendall(piece)

    def call(self, party, channel="spu", job="job"):
        self.links.append(self.callers[party].call("a", channel, job))
        self.links[-1].settimeout(10)
        return self.links[-1]

    def close(self):
        self.door.close()
        for each in [*self.links, self.library]:
            each.close()


@pytest.fixture
def world(tmp_path, authority):
    made = World(tmp_path, authority)
    yield made
    made.close()


def _answered(link):
    link.sendall(b"hello")
    return link.recv(5) == b"hello"


def test_a_member_that_floods_a_link_is_told_to_stop_and_the_third_party_gets_through(world, monkeypatch):
    monkeypatch.setattr(module, "_AT_A_TIME", 5)
    world.echo()
    flood = [world.call("b") for _ in range(5)]
    assert all(_answered(link) for link in flood)
    with pytest.raises(CallFailed, match="as many connections of it on this link as it takes") as caught:
        world.call("b")
    assert not caught.value.final, "one that broke may be replaced a moment later"
    _until(lambda: any("it is b, who was told" in text for text in world.told))
    assert _answered(world.call("c"))
    flood[0].close()

    def replaced():
        with contextlib.suppress(CallFailed):
            return _answered(world.call("b"))

    _until(replaced)


def test_a_library_that_accepts_nothing_holds_nobody_up_at_the_door(world):
    """A full backlog: a connect that waits would stop the thread that lets everybody in."""
    world.library.listen(0)
    for _ in range(4):
        world.call("b")
    began = time.monotonic()
    with pytest.raises(CallFailed, match="knows no such link"):
        world.call("c", "another")
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(("channel", "job"), [("spu", "of yesterday"), ("spu", ""), ("pair a|b", "job")])
def test_a_link_of_a_run_that_is_over_or_that_nobody_opened_is_refused(world, channel, job):
    world.echo()
    with pytest.raises(CallFailed, match="knows no such link"):
        world.call("b", channel, job)


def test_a_way_out_outlives_whatever_the_other_end_answers(world, monkeypatch, caplog):
    """Else this party's library would wait for ever behind a thread that has died."""
    answers = iter([x509.DuplicateExtension("twice", x509.oid.ExtensionOID.KEY_USAGE), CallFailed("b", "is not there")])
    ours, theirs = socket.socketpair()

    def call(*_):
        if (answer := next(answers, None)) is not None:
            raise answer
        return theirs

    monkeypatch.setattr(world.callers["a"], "call", call)
    with caplog.at_level(logging.CRITICAL):
        for _ in range(2):
            with socket.socket(socket.AF_UNIX) as library:
                library.settimeout(10)
                library.connect(world.table["b"].removeprefix("unix:"))
                assert library.recv(1) == b"", "closed, so that the library tries again"
        with socket.socket(socket.AF_UNIX) as library, ours:
            library.connect(world.table["b"].removeprefix("unix:"))
            library.sendall(b"through")
            ours.settimeout(10)
            assert ours.recv(7) == b"through"


def _until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
