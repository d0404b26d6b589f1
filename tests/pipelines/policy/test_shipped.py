"""The shipped policies against the shipped pipelines: what passes, what is refused, and for which reason."""

from pathlib import Path
from typing import Any

import pytest

from veilflow.pipelines.plan import Plan, make_plan
from veilflow.pipelines.policy import Verdict, judge_all, load_policy
from veilflow.pipelines.spec import load, loads

ROOT = Path(__file__).resolve().parents[3]
PIPELINES = sorted((ROOT / "configs" / "pipelines").glob("*.yaml"))
DEMO = ROOT / "configs" / "pipelines" / "hospital_insurer.yaml"

PREPARATION = b"""
version: 1
name: preparation
parties: [hospital, insurer]
nodes:
  patients: {uses: data/read_table, with: {party: hospital, path: "sample://breast_cancer/hospital", id: [person]}}
  hidden: {uses: data/k_anonymize, needs: {data: patients.table}, with: {quasi_identifiers: [mean_radius], k: 10}}
  scaled: {uses: data/scale, needs: {data: hidden.table}}
"""
STRANGER = b"""
version: 1
name: stranger
parties: [hospital, insurer]
nodes:
  patients: {uses: io/data_source, with: {party: hospital, uri: a.csv}}
  numbers: {uses: stats/table_statistics, needs: {input_ds: patients.output_ds}, with: {features: [x]}}
"""


def verdict(policy: str, plan: Plan) -> Verdict:
    (found,) = judge_all([load_policy(ROOT / "configs" / "policies" / f"{policy}.yaml")], plan)
    return found


def kinds(found: Verdict) -> set[str]:
    return {finding.disclosure.kind for finding in found.findings if finding.disclosure is not None}


def demo(*overrides: str) -> Plan:
    return make_plan(load(DEMO, overrides))


@pytest.mark.parametrize("file", PIPELINES, ids=lambda file: file.stem)
def test_no_shipped_pipeline_leaves_the_kind_of_a_line_open(file: Path):
    lines = [line for step in make_plan(load(file)).steps for line in step.discloses]
    assert lines
    # "other" must be a choice: a line that needs it is added here with its reason.
    assert [line.what for line in lines if line.kind in ("other", "unknown")] == []


def _plain_psi(plan: Plan) -> bool:
    return any(step.component_id.startswith("alignment/psi:") for step in plan.steps)


@pytest.mark.parametrize("file", PIPELINES, ids=lambda file: file.stem)
def test_plain_psi_is_refused_where_no_row_may_leave(file: Path):
    plan = make_plan(load(file))
    if not _plain_psi(plan):
        pytest.skip("no plain PSI in it")
    for policy in ("no_row_level", "strict_deny"):
        found = verdict(policy, plan)
        assert found.refused
        assert "membership" in kinds(found)


@pytest.mark.parametrize("file", PIPELINES, ids=lambda file: file.stem)
def test_research_with_consent_may_use_plain_psi(file: Path):
    plan = make_plan(load(file))
    if not _plain_psi(plan):
        pytest.skip("no plain PSI in it")
    assert not verdict("research_default", plan).refused, verdict("research_default", plan).findings


@pytest.mark.parametrize("policy", ["no_row_level", "research_default", "strict_deny", "hospital_private"])
def test_preparation_at_home_passes_everywhere(policy: str):
    assert verdict(policy, make_plan(loads(PREPARATION))).findings == ()


@pytest.mark.parametrize("policy", ["no_row_level", "research_default", "strict_deny", "hospital_private"])
def test_components_that_make_no_statement_pass_nowhere(policy: str):
    found = verdict(policy, make_plan(loads(STRANGER)))
    assert found.refused
    assert {finding.step for finding in found.findings} == {"patients", "numbers"}


@pytest.mark.parametrize(
    ("policy", "override", "said"),
    [
        ("research_default", "train.release=per_example", "the LABEL of every training row"),
        ("hospital_private", "train.release=per_example", "the LABEL of every training row"),
        ("research_default", "train.noise=0", "protection 'noise' is required here, but not switched on"),
        ("hospital_private", "train.noise=0", "protection 'noise' is required here, but not switched on"),
        ("research_default", "train.noise=0.2", "deviation is 0.4, at least 0.5 is required"),
        ("research_default", "train.minimum_batch=8", "minimum is 8, at least 16 is required"),
        ("research_default", "train.clip=20", "bound is 20.0, at most 10 is required"),
        ("strict_deny", "train.minimum_batch=32", "minimum is 32, at least 64 is required"),
        ("hospital_private", "predict.receiver=coordinator", "the model's score of every row"),
    ],
)
def test_a_weakened_run_is_refused_for_that_reason(policy: str, override: str, said: str):
    before, after = verdict(policy, demo()), verdict(policy, demo(override))
    assert any(said in finding.what for finding in after.findings)
    if policy != "strict_deny":
        assert not before.refused


def test_k_must_be_large_enough_for_the_strict_policy():
    plan = make_plan(loads(PREPARATION, ["hidden.k=5"]))
    assert [finding.what for finding in verdict("strict_deny", plan).findings] == [
        "protection 'k_anonymity' is too weak: k is 5, at least 10 is required"
    ]


def test_the_example_in_comments_works_when_switched_on(tmp_path: Path):
    text = (ROOT / "configs" / "policies" / "hospital_private.yaml").read_text()
    (tmp_path / "on.yaml").write_text(text.replace("  # - ", "  - ").replace("  #   ", "    "))
    loaded: Any = load_policy(tmp_path / "on.yaml")
    assert loaded.policy.require[0].upstream
    (found,) = judge_all([loaded], demo())
    assert [finding.step for finding in found.findings] == ["align"]
