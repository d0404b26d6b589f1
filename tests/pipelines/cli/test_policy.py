"""`--policy` at plan, check and run: marked lines, reasons, exit code 5, and nothing started."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from veilflow.pipelines.cli.program import program

ROOT = Path(__file__).resolve().parents[3]
POLICIES = ROOT / "configs" / "policies"
_COMMAND = [sys.executable, "-m", "veilflow.pipelines.cli", "run"]
PIPELINE = """
version: 1
name: meeting
parties: [hospital, insurer]
nodes:
  patients: {uses: data/read_table, with: {party: hospital, path: "sample://breast_cancer/hospital", id: [person]}}
  clients: {uses: data/read_table, with: {party: insurer, path: "sample://breast_cancer/insurer", id: [person]}}
  align: {uses: alignment/psi, needs: {left: patients.table, right: clients.table}}
"""
REASON = "That a person is known to another party is personal data of its own. Use an anonymous alignment."


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "meeting.yaml"
    path.write_text(PIPELINE)
    return path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(program, [str(each) for each in arguments])


@pytest.mark.parametrize("verb", ["check", "plan", "run"])
def test_a_refusal_ends_with_5_and_names_line_rule_and_reason(file: Path, tmp_path: Path, verb: str):
    more = ["--out", tmp_path / "out"] if verb == "run" else []
    done = call(verb, file, "--policy", POLICIES / "no_row_level.yaml", *more)
    assert done.exit_code == 5
    assert done.stderr.startswith(f"Error: {file}: refused by policy 'no_row_level'; nothing has started\n")
    assert (
        "  step align: insurer would learn which of its own people hospital has, too (membership, about hospital)\n"
        f"    no_row_level, forbid rule 1: {REASON}\n" in done.stderr
    )
    assert "Traceback" not in done.output


def test_check_names_the_policies_that_allow(file: Path):
    done = call(
        "check", file, "--policy", POLICIES / "research_default.yaml", "--policy", POLICIES / "hospital_private.yaml"
    )
    assert done.exit_code == 0
    assert done.stdout.endswith(", allowed by research_default, hospital_private\n")


def test_plan_marks_every_line_and_gives_each_policys_verdict(file: Path):
    done = call(
        "plan", file, "--policy", POLICIES / "no_row_level.yaml", "--policy", POLICIES / "research_default.yaml"
    )
    lines = done.stdout.splitlines()
    marked = [line for line in lines if "FORBIDDEN" in line]
    assert len(marked) == 2
    assert all(f"membership     FORBIDDEN no_row_level, forbid rule 1: {REASON}" in line for line in marked)
    assert sum(line.endswith("  allowed") for line in lines) == 7
    verdicts = lines[lines.index("Policies") + 1 :]
    assert verdicts[0].startswith("no_row_level: REFUSED, sha256 ")
    assert verdicts[1].startswith("research_default: allowed, sha256 ")


def test_plan_without_policy_looks_as_before(file: Path):
    done = call("plan", file)
    assert done.exit_code == 0
    assert "allowed" not in done.stdout
    assert "membership" not in done.stdout


def test_plan_says_which_components_and_protections_are_at_fault(tmp_path: Path):
    demo = ROOT / "configs" / "pipelines" / "hospital_insurer.yaml"
    done = call("plan", demo, "--policy", POLICIES / "research_default.yaml", "--set", "train.noise=0")
    assert done.exit_code == 5
    assert "  step train: protection 'noise' is required here, but not switched on (require rule 3: " in done.stdout


@pytest.mark.parametrize("verb", ["check", "plan", "run"])
def test_an_invalid_policy_ends_with_3_and_its_lines(file: Path, tmp_path: Path, verb: str):
    (tmp_path / "p.yaml").write_text("version: 1\nname: p\ndefault: deny\nalow: []\n")
    done = call(verb, file, "--policy", tmp_path / "p.yaml")
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr.endswith("p.yaml: 1 problem\n  line 4: alow: unknown key; did you mean 'allow'?\n")


def test_a_refused_run_starts_nothing_and_says_so_in_its_ledger_and_report(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a party process was started")

    monkeypatch.setattr("veilflow.pipelines.launch.run.PartyProcesses", never)
    monkeypatch.setattr("veilflow.pipelines.launch.run.simulation_setups", never)
    out = tmp_path / "out"
    done = call("run", file, "--policy", POLICIES / "no_row_level.yaml", "--out", out)
    assert done.exit_code == 5, done.output
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "run.json"]
    run = json.loads((out / "run.json").read_text())
    assert run["status"] == "refused"
    assert run["error"]["exit_code"] == 5
    assert REASON in run["error"]["message"]
    assert {node["status"] for node in run["nodes"]} == {"skipped"}
    (policy,) = run["policies"]
    assert (policy["name"], policy["verdict"], len(policy["sha256"])) == ("no_row_level", "refused", 64)
    assert [each["kind"] for each in policy["objections"]] == ["membership", "membership"]
    page = (out / "report.html").read_text()
    assert "The run was refused before any step began; nothing was computed and nothing was sent." in page
    assert REASON in page
    assert str(out / "report.html") in done.stderr


def test_a_partys_own_policy_refuses_at_that_party(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster_files: Any
):
    (tmp_path / "own.yaml").write_text((POLICIES / "no_row_level.yaml").read_text())
    cluster = cluster_files({"hospital": [Path("own.yaml")]})["hospital"]  # relative to the cluster file
    monkeypatch.chdir(ROOT)
    done = call("run", file, "--party", "hospital", "--cluster", cluster, "--out", tmp_path / "out")
    assert done.exit_code == 5, done.output
    (policy,) = json.loads((tmp_path / "out" / "run.json").read_text())["policies"]
    assert policy["private"] is True


def test_a_policy_file_that_the_cluster_file_names_must_be_there(file: Path, tmp_path: Path, cluster_files: Any):
    cluster = cluster_files({"hospital": [Path("gone.yaml")]})["hospital"]
    done = call("run", file, "--party", "hospital", "--cluster", cluster, "--out", tmp_path / "out")
    assert done.exit_code == 3
    assert "gone.yaml: 1 problem\n  cannot be read: No such file or directory" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.cluster
def test_parties_with_different_agreed_policies_stop_and_name_the_difference(
    file: Path, tmp_path: Path, cluster_files: Any
):
    own = tmp_path / "own.yaml"
    own.write_text((POLICIES / "hospital_private.yaml").read_text())
    clusters = cluster_files({"hospital": [own]})
    command = [*_COMMAND, str(file), "--policy", str(POLICIES / "research_default.yaml")]
    more = {"hospital": [], "insurer": ["--policy", str(POLICIES / "hospital_private.yaml")]}
    started = [
        subprocess.Popen(
            [*command, *more[party], "--cluster", clusters[party], "--party", party, "--out", str(tmp_path / party)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for party in ("hospital", "insurer")
    ]
    said = [process.communicate(timeout=120)[0] for process in started]
    assert [process.returncode for process in started] == [4, 4], said
    assert any("the parties' runs differ. policy: hospital research_default" in text for text in said), said
