"""A party whose heart beats but whose work is stuck: the others wait for `stall_minutes`, then everybody ends."""

import os
import time
from pathlib import Path

import pytest

from veilflow.components.devices.pyu import publish, run_on
from veilflow.pipelines.cluster.addresses import on_loopback
from veilflow.pipelines.launch.identities import with_new_identities
from veilflow.pipelines.launch.processes import Event, PartyFailed, PartyProcesses, the_cause
from veilflow.pipelines.party.setup import PartySetup

pytestmark = pytest.mark.cluster
PARTIES = ["hospital", "insurer"]
STALL_SECONDS = 3


def stuck(context):
    if context.self_party == "insurer":
        time.sleep(600)
    publish(run_on("insurer", lambda: 1))


def slow_but_in_time(context):
    if context.self_party == "insurer":
        time.sleep(STALL_SECONDS / 3)
    return publish(run_on("insurer", lambda: 1))


def test_a_stuck_party_is_named_and_everybody_ends(tmp_path):
    addresses = on_loopback(PARTIES, {})
    setups = {
        party: PartySetup(party, PARTIES, addresses, tmp_path / party, None, stall_minutes=STALL_SECONDS / 60)
        for party in PARTIES
    }
    with PartyProcesses(with_new_identities(setups)).start() as processes:
        pids = [processes.pid(party) for party in PARTIES]
        assert processes.run(_call(slow_but_in_time)) == {"hospital": 1, "insurer": 1}
        began = time.monotonic()
        with pytest.raises(PartyFailed, match=r"insurer failed in step 'stuck': .*sent nothing for 0.05 min") as caught:
            processes.run(_call(stuck))
        assert time.monotonic() - began < STALL_SECONDS + 15
        assert caught.value.lost, "restarts may help"
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


@pytest.mark.parametrize("first", [0, 1])
def test_whoever_is_heard_first_the_stuck_party_is_the_cause(first):
    heard = [
        Event("hospital", "failed", {"party": "insurer", "kind": "lost", "message": "sent nothing"}),
        Event("insurer", "peer_lost", {"peer": "hospital", "code": "given_up"}),
    ]
    assert the_cause([heard[first], heard[1 - first]]) is heard[0]


def _call(function):
    return {"job": "call", "function": f"{Path(__file__).resolve()}:{function.__name__}", "args": []}
