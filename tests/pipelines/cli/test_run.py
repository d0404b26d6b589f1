"""`veilflow run`: how it ends, and one party at a time."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from click.testing import CliRunner

from veilflow.pipelines.cli.program import program

PARTIES = ["hospital", "insurer"]
_COMMAND = [sys.executable, "-m", "veilflow.pipelines.cli", "run"]
PIPELINE = """
version: 1
name: meeting
parties: [hospital, insurer]
nodes:
  patients: {uses: data/read_table, with: {party: hospital, path: "sample://breast_cancer/hospital", id: [person]}}
  meet: {uses: flow/barrier}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "meeting.yaml"
    path.write_text(PIPELINE)
    return path


def _run(*arguments: object):
    return subprocess.run(
        [*_COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_an_invalid_pipeline_ends_with_3_and_starts_nothing(file, tmp_path):
    file.write_text(PIPELINE.replace("flow/barrier", "flow/barier"))
    done = _run(file, "--out", tmp_path / "out")
    assert done.returncode == 3
    assert "did you mean 'flow/barrier'" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", [["--party", "hospital"], ["--cluster", __file__]])
def test_a_party_needs_a_cluster_and_a_cluster_a_party(file, option):
    done = CliRunner().invoke(program, ["run", str(file), *option])
    assert done.exit_code == 2
    assert "--party and --cluster go together" in done.output


@pytest.mark.cluster
def test_a_failing_party_ends_with_4_one_message_and_a_failed_ledger(file, tmp_path):
    done = _run(file, "--out", tmp_path / "out", "--set", "patients.path=nowhere.csv")
    assert done.returncode == 4
    assert done.stderr.startswith("Error: hospital failed in step 'patients': ")
    assert "nowhere.csv" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "failed"
    assert "nowhere.csv" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.cluster
@pytest.mark.parametrize("tls", [False, True], ids=["simulation", "production"])
def test_parties_started_one_by_one_finish_the_same_run(file, tmp_path, cluster_files, tls):
    clusters = cluster_files(tls=tls)
    command = [*_COMMAND, str(file)]
    started = [
        subprocess.Popen(
            [*command, "--cluster", str(clusters[party]), "--party", party, "--out", str(tmp_path / party)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for party in PARTIES
    ]
    said = [process.communicate(timeout=120)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    for party in PARTIES:
        run = json.loads((tmp_path / party / "run.json").read_text())
        assert (run["status"], run["mode"], run["party"]) == ("ok", "party", party)
        assert [path.name for path in (tmp_path / party).iterdir() if path.is_dir()] == [party]


@pytest.mark.cluster
def test_parties_with_different_files_stop_and_name_the_difference(file, tmp_path, cluster_files):
    clusters = cluster_files()
    other = tmp_path / "other.yaml"
    other.write_text(PIPELINE.replace("name: meeting", "name: another"))
    started = [
        subprocess.Popen(
            [*_COMMAND, str(path), "--cluster", str(clusters[party]), "--party", party, "--out", str(tmp_path / party)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for party, path in zip(PARTIES, (file, other), strict=True)
    ]
    said = [process.communicate(timeout=120)[0] for process in started]
    assert [process.returncode for process in started] == [4, 4], said
    assert any("the parties' runs differ. pipeline file" in text for text in said), said


@pytest.mark.cluster
def test_a_party_whose_peers_never_come_gives_up(file, tmp_path, cluster_files):
    from veilflow.pipelines.cluster.config import load_cluster
    from veilflow.pipelines.launch.processes import PartyFailed, PartyProcesses
    from veilflow.pipelines.launch.setups import party_setup
    from veilflow.pipelines.spec import load

    setups = party_setup(load(file), tmp_path, load_cluster(cluster_files()["hospital"]), "hospital")
    alone = {"hospital": replace(setups["hospital"], connect_seconds=10)}
    started = time.monotonic()
    told = r"insurer failed: was not there within 10 s \(at 127.0.0.1:\d+; it does not listen \(connection refused\)\)"
    with pytest.raises(PartyFailed, match=told):
        PartyProcesses(alone).start()
    assert time.monotonic() - started < 45


@pytest.mark.cluster
def test_who_waits_for_a_party_that_was_killed_while_it_joined_ends_too_and_names_it(file, tmp_path, cluster_files):
    from veilflow.pipelines.cluster.config import load_cluster
    from veilflow.pipelines.launch.run import run_here

    files = cluster_files(tls=True)

    def kill(event):
        if event.kind == "starting":
            os.kill(event.body["pid"], signal.SIGKILL)

    began = time.monotonic()
    command = [*_COMMAND, str(file), "--cluster", str(files["hospital"]), "--party", "hospital", "--out", "hospital"]
    waiting = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    killed = run_here(
        file, tmp_path / "insurer", cluster=load_cluster(files["insurer"]), party="insurer", observer=kill
    )
    assert killed.error.party == "insurer"
    said, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 4
    assert "insurer failed: cannot take part: its process has ended while it joined" in said
    assert time.monotonic() - began < 60, "not the 120 s that a party may be late"


PLAIN_PSI = """
version: 1
name: meeting
parties: [hospital, insurer]
nodes:
  patients: {uses: data/read_table, with: {party: hospital, path: "sample://breast_cancer/hospital", id: [person]}}
  clients: {uses: data/read_table, with: {party: insurer, path: "sample://breast_cancer/insurer", id: [person]}}
  align: {uses: alignment/psi, needs: {left: patients.table, right: clients.table}}
"""


@pytest.mark.cluster
def test_an_output_folder_with_blanks_and_shell_characters_works_and_runs_no_command(file, tmp_path):
    file.write_text(PLAIN_PSI)
    out = tmp_path / "My runs;touch INJECTED;$(touch INJECTED)"
    done = subprocess.run([*_COMMAND, str(file), "--out", str(out)], capture_output=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "run.json").read_text())["status"] == "ok"
    assert not list(tmp_path.rglob("INJECTED"))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([file.name, out.name])
