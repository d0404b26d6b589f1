"""Ports that are taken between being chosen and being listened on: a simulation goes elsewhere, a party says whose."""

import os
import socket

import pytest

from veilflow.pipelines.cluster.addresses import on_loopback
from veilflow.pipelines.cluster.hosts import split
from veilflow.pipelines.cluster.ports import Kept
from veilflow.pipelines.launch import processes as module
from veilflow.pipelines.launch.anywhere import start_anywhere
from veilflow.pipelines.launch.identities import with_new_identities
from veilflow.pipelines.launch.processes import PartyFailed, PartyProcesses
from veilflow.pipelines.party.setup import PartySetup

pytestmark = pytest.mark.cluster
PARTIES = ["hospital", "insurer"]


@pytest.fixture
def setups(tmp_path):
    addresses = on_loopback(PARTIES, {})
    return with_new_identities(
        {party: PartySetup(party, PARTIES, addresses, tmp_path / party, None) for party in PARTIES}
    )


@pytest.fixture
def another_program(monkeypatch):
    """Listens on the first port that a run has just found free, with the option that lets it."""
    listening, original = [], Kept.add

    def add(self, addresses):
        wanted = list(addresses)
        original(self, wanted)
        if not listening:
            listening.append(socket.create_server(split(wanted[0])))

    monkeypatch.setattr(module.Kept, "add", add)
    yield listening
    for each in listening:
        each.close()


def test_a_simulation_whose_ports_another_one_keeps_takes_others(setups):
    other = Kept()
    other.add([setups["insurer"].addresses.of_pair(*PARTIES)["insurer"]])
    try:
        with start_anywhere(setups) as started:
            ports = {port for party in PARTIES for port in started._setups[party].own_ports}
        assert not ports & {port for party in PARTIES for port in setups[party].own_ports}
    finally:
        other.release()


def test_a_simulation_takes_other_ports_where_a_program_was_faster(setups, another_program):
    with start_anywhere(setups) as started:
        assert started.alive
        assert started._setups["hospital"].addresses != setups["hospital"].addresses
    assert another_program


def test_a_party_with_given_ports_names_the_port_and_who_has_it(setups, another_program):
    port = setups["hospital"].own_ports[0]
    with pytest.raises(PartyFailed, match=f"port {port} on 127.0.0.1 is in use by") as caught:
        PartyProcesses(setups, keep_ports=True).start()
    assert caught.value.taken
    assert f"(process {os.getpid()})" in str(caught.value)
    assert "internal error" not in str(caught.value)


def test_ports_are_free_again_when_the_run_is_over(setups):
    with start_anywhere(setups) as started:
        place = started._setups["hospital"].addresses.base["hospital"]
        with pytest.raises(PartyFailed, match="is in use"):
            PartyProcesses(started._setups).start()
    with socket.create_server(split(place)):
        pass
