"""A party's port under strangers, and calls to it: no SecretFlow, no processes."""

import contextlib
import socket
import threading
import time

import pytest
from cryptography import x509

from veilflow.pipelines.certs.keys import new_signing_key
from veilflow.pipelines.cluster.addresses import on_loopback
from veilflow.pipelines.cluster.hosts import split
from veilflow.pipelines.party.connection import Connection
from veilflow.pipelines.party.front import door as module
from veilflow.pipelines.party.front import greeting, tls
from veilflow.pipelines.party.front.calling import Caller, CallFailed, NotYet
from veilflow.pipelines.party.front.door import Door
from veilflow.pipelines.party.wire.identity import Identity

PARTIES = ["a", "b", "c"]
USAGES = x509.oid.ExtendedKeyUsageOID


class World:
    """Party ``a``'s door, and callers of all kinds."""

    def __init__(self, authority):
        self.keys = {party: new_signing_key() for party in PARTIES}
        self.pins = {party: key.public_key() for party, key in self.keys.items()}
        self.addresses = on_loopback(PARTIES, {}).base
        self.authority, self.entered, self.told, self._doors, self._links = authority, [], [], [], []
        self.files = {party: authority.files(party) for party in PARTIES}

    def identity(self, party, key=None):
        key = key or self.keys[party]
        return Identity(party, key, {**self.pins, party: key.public_key()})

    def door(self, party="a", files=None, sources=frozenset(["127.0.0.1"]), admit=lambda hello: "welcome"):
        made = Door(
            self.identity(party), self.addresses[party], None, tls.Tls.of(files or self.files[party]), sources,
            self.told.append,
        )  # fmt: skip
        self._doors.append(made)
        made.serve("test", admit, self._take)
        return made

    def _take(self, link, hello):
        self.entered.append((hello.caller, link))

    def caller(self, party="b", files=None, key=None, addresses=None):
        made = tls.Tls.of(files or self.files[party])
        return Caller(self.identity(party, key), addresses or self.addresses, made)

    def raw(self):
        return socket.create_connection(split(self.addresses["a"]), 5)

    def call(self, *target, **options):
        """As `Caller.call`; closed with the world."""
        made = self.caller(**options).call(*target)
        self._links.append(made)
        return made

    def close(self):
        for each in self._doors:
            each.close()
        for each in [*self._links, *(link for _, link in self.entered)]:  # nobody enters any more
            each.close()


@pytest.fixture
def world(authority):
    made = World(authority)
    yield made
    made.close()


def test_a_party_gets_in_and_bytes_go_both_ways(world):
    world.door()
    link = world.call("a", "test", "job")
    _until(lambda: world.entered)
    ((caller, inside),) = world.entered
    assert caller == "b"
    link.sendall(b"there")
    assert inside.recv(5) == b"there"
    inside.sendall(b"and back")
    assert link.recv(8) == b"and back"


def test_a_key_in_openssl_s_own_format_will_do(world, authority):
    world.door()
    world.call("a", "test", files=authority.files("b", traditional=True))
    _until(lambda: world.entered)


_REFUSED = "does not accept this party's certificate"
BAD_CALLERS = {
    "another authority": (lambda own, other: other.files("b"), "showed a certificate that is not accepted"),
    "another authority's beside the right CA file": (
        lambda own, other: own.files("b", signer=other.held), _REFUSED
    ),
    "expired": (lambda own, other: own.files("b", days_ago=60), "does not accept the certificate by its clock"),
    "not yet valid": (lambda own, other: own.files("b", days_ago=-60), "does not accept the certificate by its clock"),
    "for servers only": (
        lambda own, other: own.files("b", usage=USAGES.SERVER_AUTH), _REFUSED
    ),
    "another party's": (lambda own, other: own.files("c"), "it names another party"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_CALLERS)
def test_a_caller_with_a_bad_certificate_does_not_get_in_and_both_sides_say_why(
    world, authority, another_authority, kind
):
    files, why = BAD_CALLERS[kind]
    world.door()
    with pytest.raises(CallFailed, match=why) as caught:
        world.caller(files=files(authority, another_authority)).call("a", "test")
    assert caught.value.final
    _until(lambda: world.told)
    assert not world.entered
    assert "127.0.0.1 was refused: it" in world.told[0]


@pytest.mark.parametrize(
    "kind", ["another authority", "expired", "not yet valid", "for clients only", "another party's"]
)
def test_a_called_party_with_a_bad_certificate_hears_nothing(world, authority, another_authority, kind):
    files = {
        "another authority": lambda: another_authority.files("a"),
        "expired": lambda: authority.files("a", days_ago=60),
        "not yet valid": lambda: authority.files("a", days_ago=-60),
        "for clients only": lambda: authority.files("a", usage=USAGES.CLIENT_AUTH),
        "another party's": lambda: authority.files("c"),
    }[kind]()
    world.door(files=files)
    with pytest.raises(CallFailed) as caught:
        world.caller().call("a", "test")
    assert caught.value.final
    assert not caught.value.ours
    if kind in ("expired", "not yet valid"):
        assert "its certificate" in str(caught.value)
        assert "its clock agrees with this machine's" in str(caught.value)


def test_a_pinned_key_is_asked_for_besides_the_certificate(world):
    world.door()
    with pytest.raises(CallFailed, match="does not accept the signing key") as caught:
        world.caller(key=new_signing_key()).call("a", "test")
    assert caught.value.ours
    assert not world.entered


def test_what_nobody_serves_and_what_is_not_admitted_is_refused(world):
    world.door(admit=lambda hello: "welcome" if hello.job == "this" else "channel")
    for channel, job in (("other", "this"), ("test", "that")):
        with pytest.raises(CallFailed, match="knows no such link"):
            world.caller().call("a", channel, job)
    assert not world.entered


def test_a_member_that_calls_before_a_link_is_served_is_no_news_and_gets_in_later(world):
    door = world.door()
    with pytest.raises(NotYet, match="knows no such link yet") as caught:
        world.caller().call("a", "later")
    assert not caught.value.final
    door.serve("later", lambda hello: "welcome", world._take)
    world.call("a", "later")
    _until(lambda: world.entered)
    assert world.told == []


class Relay:
    """A member with the authority's key: shows everybody the certificate that is expected, and passes greetings on."""

    def __init__(self, world, authority):
        self._there = split(world.addresses["a"])
        self._towards_a = tls.Tls.of(authority.files("b")).client
        self._towards_b = tls.Tls.of(authority.files("a")).server
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.passed = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        near, _ = self._server.accept()
        with contextlib.suppress(OSError):
            near = self._towards_b.wrap_socket(near, server_side=True)
            far = self._towards_a.wrap_socket(socket.create_connection(self._there))
            near, far = Connection(near, "b"), Connection(far, "a")
            for source, sink in ((far, near), (near, far), (far, near)):
                with contextlib.suppress(Exception):
                    self.passed.append(source.receive(3))
                    sink.send(self.passed[-1])
            near.close()
            far.close()
        self._server.close()


def test_a_greeting_cannot_be_passed_on_even_with_certificates_that_name_both_parties(world, authority):
    world.door()
    relay = Relay(world, authority)
    with pytest.raises(CallFailed, match=r"is not believed|does not accept the signing key"):
        world.caller(addresses={**world.addresses, "a": relay.address}).call("a", "test")
    relay.thread.join(20)
    assert len(relay.passed) >= 2, "the relay was in the way and greetings went through it"
    assert not world.entered


STRANGE = {
    "nothing": b"",
    "HTTP/1": b"POST /org.interconnection.link.ReceiverService/Push HTTP/1.1\r\nContent-Length: 3\r\n\r\n{}\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    "baidu_std": b"PRPC" + (40).to_bytes(4, "big") + (20).to_bytes(4, "big") + bytes(40),
    "huge TLS record": b"\x16\x03\x01\xff\xff" + b"x" * 70000,
}


@pytest.mark.parametrize("kind", STRANGE)
def test_plain_bytes_are_answered_by_the_end_of_the_connection(world, kind, monkeypatch):
    monkeypatch.setattr(module, "_SECONDS", 0.5)
    world.door()
    with world.raw() as link:
        link.settimeout(5)
        answer = b""
        with contextlib.suppress(ConnectionError):
            link.sendall(STRANGE[kind])
            while piece := link.recv(4096):
                answer += piece
    assert not answer or answer[0] == 0x15  # a TLS alert
    assert not world.entered


@pytest.mark.parametrize("size", [1 << 31, greeting.MAX_GREETING + 1, 1, 65])
def test_a_greeting_of_an_absurd_size_is_cut_off_at_its_head(world, size):
    world.door()
    with tls.Tls.of(world.files["b"]).client.wrap_socket(world.raw()) as link:
        connection = Connection(link, "a")
        connection.receive(5)
        link.setblocking(True)
        link.settimeout(5)
        began = time.monotonic()
        with contextlib.suppress(OSError):
            link.sendall(size.to_bytes(4, "big"))
            link.sendall(b"{}" * 32 + b"x")
            assert link.recv(1) == b""
    if size > greeting.MAX_GREETING:
        assert time.monotonic() - began < 3
    assert not world.entered


def test_thousands_of_silent_and_slow_strangers_do_not_keep_a_party_out(world):
    """As many as this process may hold open, renewed as fast as they come: each alone would hold a place for 5 s."""
    world.door()
    stop, made = threading.Event(), []

    def flood():
        held = []
        while not stop.is_set() and len(made) < 10_000:
            with contextlib.suppress(OSError):
                held.append(world.raw())
                held[-1].sendall(b"\x16\x03\x01")
                made.append(1)
            if len(held) > 300:
                held.pop(0).close()
        for each in held:
            each.close()

    flooding = threading.Thread(target=flood)
    flooding.start()
    _until(lambda: len(made) > 400)
    for _ in range(20):
        world.caller().call("a", "test").close()
    stop.set()
    flooding.join(20)
    _until(lambda: len(world.entered) == 20)
    assert len(made) > 400


def test_one_address_that_is_no_party_s_gets_a_quarter_of_the_places(world):
    made = world.door(sources=frozenset(["10.0.0.1"]))
    strangers = [world.raw() for _ in range(module._PER_SOURCE + 20)]
    _until(lambda: len(made._guests) == module._PER_SOURCE)
    time.sleep(0.2)
    assert len(made._guests) == module._PER_SOURCE
    for each in strangers:
        each.close()


def test_a_caller_that_nobody_has_thought_of_does_not_close_the_door_for_others(world, monkeypatch, caplog):
    """A certificate of the authority that says a thing twice, for one: not a `ValueError` for the library."""
    original, odd = tls.Certificate.read, iter([True])

    def read(der):
        if next(odd, False):
            raise x509.DuplicateExtension("twice", x509.oid.ExtensionOID.KEY_USAGE)
        return original(der)

    world.door()
    caller = world.caller()
    monkeypatch.setattr(caller, "_certificate", lambda peer, link: original(link.getpeercert(binary_form=True)))
    monkeypatch.setattr(module.tls.Certificate, "read", staticmethod(read))
    with pytest.raises(CallFailed):
        caller.call("a", "test")
    caller.call("a", "test").close()
    _until(lambda: world.entered)
    assert any("could not be understood" in text for text in world.told)
    assert "DuplicateExtension" in caplog.text


def test_a_door_that_is_closed_listens_no_more(world):
    world.door().close()
    with pytest.raises(CallFailed, match="connection refused"):
        world.caller().call("a", "test")


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_ipv6_in_brackets_works(world):
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        port = probe.getsockname()[1]
    world.addresses["a"] = f"[::1]:{port}"
    world.door()
    world.call("a", "test")
    _until(lambda: world.entered)
    assert world.entered[0][0] == "b"


def test_a_party_may_listen_elsewhere_than_at_its_address(world):
    _, port = split(world.addresses["a"])
    made = Door(world.identity("a"), f"name.invalid:{port}", "127.0.0.2", tls.Tls.of(world.files["a"]))
    made.serve("test", lambda hello: "welcome", world._take)
    world.call("a", "test", addresses={**world.addresses, "a": f"127.0.0.2:{port}"})
    _until(lambda: world.entered)
    made.close()


def _until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
