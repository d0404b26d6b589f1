"""Bytes between two sockets: all of them, in order, both ways at once; the end of one is that of the other."""

import contextlib
import secrets
import socket
import threading

import pytest

from veilflow.pipelines.party.front import tls
from veilflow.pipelines.party.front.pumps import Pumps


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def ends(request, authority):
    """The outer ends of two connections whose inner ends are pumped."""
    near, inside = socket.socketpair()
    outside, far = _tls_pair(authority) if request.param else socket.socketpair()
    Pumps().add(inside, outside)
    yield near, far
    near.close()
    far.close()


def _tls_pair(authority):
    with socket.create_server(("127.0.0.1", 0)) as server:
        calling = socket.create_connection(server.getsockname())
        called, _ = server.accept()
    made = {}
    contexts = {party: tls.Tls.of(authority.files(party)) for party in "ab"}
    thread = threading.Thread(
        target=lambda: made.setdefault("a", contexts["a"].server.wrap_socket(called, server_side=True))
    )
    thread.start()
    b = contexts["b"].client.wrap_socket(calling)
    thread.join(10)
    return made["a"], b


def _all(link, size):
    found = bytearray()
    while len(found) < size and (piece := link.recv(min(1 << 16, size - len(found)))):
        found += piece
    return bytes(found)


@pytest.mark.parametrize("size", [1, 1000, 1 << 14, (1 << 18) + 1, 5_000_000])
def test_everything_arrives_in_order_both_ways_at_once(ends, size):
    near, far = ends
    sent = {near: secrets.token_bytes(size), far: secrets.token_bytes(size)}
    found = {}
    reading = [threading.Thread(target=lambda e=end: found.setdefault(e, _all(e, size))) for end in (near,)]
    writing = threading.Thread(target=near.sendall, args=(sent[near],))
    for thread in [*reading, writing]:
        thread.start()
    # One thread for each direction of a TLS socket is not safe, so the far end writes first what fits and reads then.
    for at in range(0, size, 1 << 14):
        far.sendall(sent[far][at : at + (1 << 14)])
        found.setdefault(far, bytearray()).extend(_all(far, min(1 << 14, size - at)))
    for thread in [*reading, writing]:
        thread.join(20)
    assert bytes(found[far]) == sent[near]
    assert found[near] == sent[far]


def test_many_small_messages_keep_their_order(ends):
    near, far = ends
    for number in range(500):
        near.sendall(b"%4d" % number)
        assert _all(far, 4) == b"%4d" % number
        far.sendall(b"back")
        assert _all(near, 4) == b"back"


@pytest.mark.parametrize("which", [0, 1])
def test_the_end_of_one_is_the_end_of_the_other(ends, which):
    closing, other = ends[which], ends[1 - which]
    closing.sendall(b"last words")
    closing.close()
    other.settimeout(10)
    assert _all(other, 10) == b"last words"
    with contextlib.suppress(ConnectionError):
        assert other.recv(1) == b""


def test_a_slow_reader_loses_nothing(ends):
    near, far = ends
    sent = secrets.token_bytes(30_000_000)
    writing = threading.Thread(target=near.sendall, args=(sent,))
    writing.start()
    writing.join(0.5)
    assert writing.is_alive(), "what nobody reads is not taken without end"
    assert _all(far, len(sent)) == sent
    writing.join(10)
