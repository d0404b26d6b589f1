"""Failures of party processes: each ends the run with the cause named, and leaves no process behind."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.errors import ComponentError
from veilflow.pipelines.cluster.addresses import on_loopback
from veilflow.pipelines.launch.identities import with_new_identities
from veilflow.pipelines.launch.processes import PartyFailed, PartyProcesses
from veilflow.pipelines.party.setup import PartySetup

pytestmark = pytest.mark.cluster
PARTIES = ["hospital", "insurer"]
SECRET = "HIV positive, 4711"


def _raise_at_insurer():
    raise ValueError(f"could not convert string to float: {SECRET!r}")


def _complain_at_insurer():
    raise ComponentError("insurer: 3 rows; training needs at least 10.")


def unexpected(context):
    publish(run_on("insurer", _raise_at_insurer))


def expected(context):
    publish(run_on("insurer", _complain_at_insurer))


def outside_of_any_device(context):
    if context.self_party == "insurer":
        raise ValueError(SECRET)
    publish(run_on("insurer", lambda: 1))


def dies(context):
    if context.self_party == "insurer":
        os.kill(os.getpid(), signal.SIGKILL)
    publish(run_on("insurer", lambda: 1))


def works(context):
    return publish(run_on("insurer", lambda: 42))


@pytest.fixture
def processes(tmp_path):
    with _made(tmp_path).start() as started:
        yield started


def _made(folder: Path) -> PartyProcesses:
    addresses = on_loopback(PARTIES, {})
    setups = {party: PartySetup(party, PARTIES, addresses, folder / party, None) for party in PARTIES}
    return PartyProcesses(with_new_identities(setups))


def _call(function):
    return {"job": "call", "function": f"{Path(__file__).resolve()}:{function.__name__}", "args": []}


def test_a_call_returns_every_partys_result(processes):
    assert processes.run(_call(works)) == {"hospital": 42, "insurer": 42}


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (expected, r"insurer failed in step 'expected': insurer: 3 rows; training needs at least 10"),
        (unexpected, r"insurer failed in step 'unexpected': internal error, reference [0-9a-f]{8}"),
        (outside_of_any_device, r"insurer failed in step 'outside_of_any_device': internal error \(ValueError\)"),
        (dies, r"insurer failed.*: the process was killed by signal 9"),
    ],
)
def test_the_failing_party_is_named_within_30_seconds_and_nothing_is_left(processes, function, message):
    pids = [processes.pid(party) for party in PARTIES]
    started = time.monotonic()
    with pytest.raises(PartyFailed, match=message) as caught:
        processes.run(_call(function))
    assert time.monotonic() - started < 30
    assert SECRET not in str(caught.value)
    assert not processes.alive
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_value_in_an_exception_reaches_no_peer(processes, tmp_path):
    with pytest.raises(PartyFailed, match="internal error"):
        processes.run(_call(unexpected))
    assert SECRET in (tmp_path / "insurer" / "log.txt").read_text(), "the party itself must be able to find the cause"
    assert SECRET not in (tmp_path / "hospital" / "log.txt").read_text()


def test_a_port_in_use_is_named_before_anything_starts(tmp_path):
    made = _made(tmp_path)
    port = made._setups["insurer"].addresses.own_ports("insurer")[0]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        mine = rf"insurer failed: port {port} on 127.0.0.1 is in use by .+ \(process {os.getpid()}\)"
        with pytest.raises(PartyFailed, match=mine):
            made.start()


def test_a_partys_files_are_readable_by_nobody_else(processes, tmp_path):
    assert (tmp_path / "insurer").stat().st_mode & 0o077 == 0
    assert (tmp_path / "insurer" / "log.txt").stat().st_mode & 0o077 == 0
