"""Three hosts with TLS in the production profile: a whole run, a slow link, a cut link, and a mended one."""

import importlib.util
import json
import sys
import time
from pathlib import Path

import pyarrow.orc as orc
import pytest

_SPEC = importlib.util.spec_from_file_location("network_namespaces", Path(__file__).with_name("network_namespaces.py"))
hosts_of = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = hosts_of
_SPEC.loader.exec_module(hosts_of)

_WHY_NOT = hosts_of.why_not()
pytestmark = [pytest.mark.cluster, pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT or "possible")]

DEMO = Path(__file__).parents[3] / "configs" / "pipelines" / "hospital_insurer.yaml"
PARTIES = hosts_of.PARTIES
MEETING = """
version: 1
name: meeting
parties: [hospital, insurer, coordinator]
nodes:
  patients: {uses: data/read_table, with: {party: hospital, path: "sample://breast_cancer/hospital", id: [person]}}
  clients: {uses: data/read_table, with: {party: insurer, path: "sample://breast_cancer/insurer", id: [person]}}
  align: {uses: alignment/psi, needs: {left: patients.table, right: clients.table}}
  scale: {uses: data/scale, needs: {data: align.table}}
"""


@pytest.fixture
def hosts(tmp_path):
    with hosts_of.Hosts(tmp_path) as made:
        yield made


def _codes(started, seconds=120):
    end = time.monotonic() + seconds
    return {party: process.wait(max(0.1, end - time.monotonic())) for party, process in started.items()}


def _people(out, party):
    """Whom ``party`` found to be common, sorted."""
    (table,) = [
        file for file in (out / party / "artifacts").glob("*/table") if (file.parent / ".node").read_text() == "align"
    ]
    return sorted(orc.ORCFile(str(table)).read().to_pandas()["person"].astype(str))


DELAY_SECONDS, BITS_PER_SECOND = 0.05, 10e6


def test_a_run_over_three_hosts_ends_the_same_on_a_slow_link(hosts, tmp_path):
    if not Path("/dev/net/tun").exists():
        pytest.skip("there is no /dev/net/tun to slow a link down with")
    file = tmp_path / "meeting.yaml"
    file.write_text(MEETING)
    (tmp_path / "slow").mkdir()
    with hosts_of.Hosts(tmp_path / "slow", (DELAY_SECONDS, BITS_PER_SECOND)) as slow:
        assert hosts.round_trip() < DELAY_SECONDS < 2 * DELAY_SECONDS <= slow.round_trip()
        found = [_meeting(each, file) for each in (hosts, slow)]
    assert found[0] == found[1]
    assert len(found[0]["hospital"]) == 400
    assert found[0]["hospital"] == found[0]["insurer"]


def _meeting(hosts, file):
    codes = _codes(hosts.run(file, "run"))
    assert set(codes.values()) == {0}, {party: hosts.said("run", party) for party in PARTIES}
    return {party: _people(hosts.out("run", party), party) for party in ("hospital", "insurer")}


def test_a_cut_link_ends_every_party_with_a_reason(hosts):
    # Without noise: what epsilon 4 asks for in so many epochs is refused before the training begins.
    started = hosts.run(DEMO, "cut", "--set", "train.epochs=1000", "--set", "train.noise=0")
    hosts.wait_for("cut", "hospital", "scale")
    time.sleep(1)
    hosts.cut("insurer")
    began = time.monotonic()
    codes = _codes(started, 60)
    assert time.monotonic() - began < hosts_of.SILENCE_SECONDS + 15
    assert set(codes.values()) == {4}, {party: hosts.said("cut", party) for party in PARTIES}
    for party in PARTIES:
        run = json.loads((hosts.out("cut", party) / "run.json").read_text())
        assert run["status"] == "failed"
        assert "is gone" in run["error"]["message"], run["error"]
    for party in ("hospital", "coordinator"):  # they hear each other, so they know who is missing
        assert json.loads((hosts.out("cut", party) / "run.json").read_text())["error"]["party"] == "insurer"


def test_a_mended_link_and_restarts_complete_the_run(hosts):
    started = hosts.run(DEMO, "mend", "--restarts", "3", "--set", "train.epochs=4", "--set", "train.checkpoint_every=1")
    hosts.wait_for("mend", "hospital", "scale")
    hosts.cut("insurer")
    for party in PARTIES:
        hosts.wait_for("mend", party, "starting again")
    hosts.mend("insurer")
    codes = _codes(started)
    assert set(codes.values()) == {0}, {party: hosts.said("mend", party) for party in PARTIES}
    for party in PARTIES:
        run = json.loads((hosts.out("mend", party) / "run.json").read_text())
        assert run["status"] == "ok"
        states = {node["name"]: node["status"] for node in run["nodes"]}
        assert states["align"] == states["split"] == "cached"
        assert run["metrics"]["train.epochs"] == 4
