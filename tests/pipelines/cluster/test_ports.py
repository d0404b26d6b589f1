"""Who has a port, and ports that are kept for a run."""

import os
import socket

import pytest

from veilflow.pipelines.cluster import addresses as module
from veilflow.pipelines.cluster.addresses import on_loopback
from veilflow.pipelines.cluster.hosts import split
from veilflow.pipelines.cluster.ports import Kept, PortTaken, in_the_way, is_free

PARTIES = ["hospital", "insurer", "coordinator"]


def _addresses(found):
    return [f"127.0.0.1:{port}" for party in PARTIES for port in found.own_ports(party)]


def test_what_one_run_keeps_another_one_does_not_choose_although_both_begin_at_the_same_place(monkeypatch):
    first = module._first_candidate()
    monkeypatch.setattr(module, "_first_candidate", lambda: first)
    one = on_loopback(PARTIES, {"spu": PARTIES})
    kept = Kept()
    kept.add(_addresses(one))
    try:
        other = on_loopback(PARTIES, {"spu": PARTIES})
        assert not set(_addresses(one)) & set(_addresses(other))
        late = Kept()
        with pytest.raises(PortTaken, match="is in use"):
            late.add(_addresses(one))
        late.release()
    finally:
        kept.release()
    assert on_loopback(PARTIES, {"spu": PARTIES}) == one


def test_a_process_of_the_run_listens_where_its_launcher_keeps_the_port():
    kept = Kept()
    place = on_loopback(PARTIES, {}).base["hospital"]
    kept.add([place])
    with socket.create_server(split(place), reuse_port=False):  # with SO_REUSEADDR, as the door and brpc
        kept.release()
        with socket.create_connection(split(place), 5):
            pass
        assert not is_free(*split(place))


def test_who_listens_on_a_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert in_the_way("127.0.0.1", port).startswith(f"port {port} on 127.0.0.1 is in use by ")
        assert in_the_way("127.0.0.1", port).endswith(f"(process {os.getpid()})")
    assert in_the_way("127.0.0.1", port) == ""


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("192.0.2.1", r"192\.0\.2\.1 is no address of this machine"),
        ("no-such-host.invalid", "the name 'no-such-host.invalid' is not known on this machine"),
    ],
)
def test_what_else_stands_in_the_way_is_said(host, why):
    with pytest.raises(PortTaken, match=why):
        Kept().add([f"{host}:20001"])
