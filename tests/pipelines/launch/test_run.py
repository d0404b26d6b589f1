"""Runs on real party processes: what is skipped, what is run again, what a failure leaves behind."""

import json
import os
import shutil
import signal
import time

import pandas as pd
import pytest

pytestmark = pytest.mark.cluster

PIPELINE = """
version: 1
name: two_tables
parties: [hospital, insurer, coordinator]
nodes:
  patients:
    uses: data/read_table
    with: {{party: hospital, path: "{folder}/patients.csv", id: [person], label: ill}}
  clients: {{uses: data/read_table, with: {{party: insurer, path: "{folder}/clients.csv", id: [person]}}}}
  scaled: {{uses: data/scale, needs: {{data: patients.table}}}}
  meet: {{uses: flow/barrier}}
"""


@pytest.fixture
def rows(tmp_path):
    """A tiny table at the hospital and one at the insurer."""
    people = [f"p{number}" for number in range(20)]
    values = [float(number % 7) for number in range(20)]
    patients = pd.DataFrame({"person": people, "bmi": values, "ill": [number % 2 for number in range(20)]})
    patients.to_csv(tmp_path / "patients.csv", index=False)
    pd.DataFrame({"person": people, "premium": values[::-1]}).to_csv(tmp_path / "clients.csv", index=False)
    return tmp_path


@pytest.fixture
def run(veilflow_cluster, rows):
    """Run the pipeline above into one output folder."""

    def go(**options):
        return veilflow_cluster.run(PIPELINE.format(folder=rows), rows / "out", **options)

    return go


def _status(run):
    return {node.name: node.status for node in run.nodes}


def test_a_second_run_skips_every_finished_step_and_reports_the_same(run):
    first, second = run(), run()
    assert set(_status(first).values()) == {"ran"}
    assert _status(second) == {"patients": "cached", "clients": "cached", "scaled": "cached", "meet": "ran"}
    assert [node.report for node in first.nodes] == [node.report for node in second.nodes]


def test_a_changed_parameter_runs_only_what_depends_on_it(run):
    run()
    changed = run(overrides=["scaled.method=minmax"])
    assert _status(changed)["patients"] == "cached"
    assert _status(changed)["scaled"] == "ran"


def test_changed_bytes_of_an_input_run_its_step_and_all_that_follow(run, rows):
    run()
    table = pd.read_csv(rows / "patients.csv")
    table.loc[0, "bmi"] = 99.0
    table.to_csv(rows / "patients.csv", index=False)
    assert _status(run()) == {"patients": "ran", "clients": "cached", "scaled": "ran", "meet": "ran"}


def test_a_step_is_skipped_only_if_every_party_still_has_it(run, rows):
    run()
    shutil.rmtree(rows / "out" / "insurer")
    assert set(_status(run()).values()) == {"ran"}


def test_the_cache_can_be_left_aside(run):
    run()
    assert set(_status(run(use_cache=False)).values()) == {"ran"}


def test_a_failing_step_is_named_and_what_follows_is_not_run(run, rows):
    table = pd.read_csv(rows / "patients.csv").rename(columns={"ill": "sick"})
    table.to_csv(rows / "patients.csv", index=False)
    failed = run()
    assert failed.status == "failed"
    assert failed.error.party == "hospital"
    assert failed.error.node == "patients"
    assert "ill" in failed.error.message
    assert _status(failed) == {"patients": "failed", "clients": "skipped", "scaled": "skipped", "meet": "skipped"}
    assert json.loads((rows / "out" / "run.json").read_text())["status"] == "failed"


@pytest.mark.parametrize("victim", ["hospital", "insurer", "coordinator"])
def test_a_killed_party_ends_the_run_and_the_next_one_resumes(veilflow_cluster, run, victim):
    def kill(event):
        if event.kind == "node_started" and event.body["node"] == "scaled" and event.party == victim:
            os.kill(veilflow_cluster.pid(victim), signal.SIGKILL)

    started = time.monotonic()
    failed = run(observer=kill)
    assert time.monotonic() - started < 30
    assert failed.status == "failed"
    assert failed.error.party == victim
    assert "killed by signal 9" in failed.error.message
    resumed = run()
    assert resumed.status == "ok"
    assert _status(resumed)["patients"] == "cached"
    assert _status(resumed)["clients"] == "cached"
