from typing import Any

import pytest

from veilflow.components.claims import Artifact, NodeView, claims_for

PARTIES = ("hospital", "insurer", "coordinator")


def view(input_name: str, at: tuple[str, ...], **params: Any) -> NodeView:
    return NodeView("step", PARTIES, params, {input_name: [Artifact("table", at)]})


def evaluate(at: tuple[str, ...] = ("hospital",), **params: Any) -> NodeView:
    return view("scores", at, **params)


def learners(node: NodeView) -> set[str]:
    return {party for line in claims_for("application/evaluate:1.0.0").discloses(node) for party in line.to}


@pytest.mark.parametrize(
    "receivers, expected",
    [
        (None, {"insurer", "coordinator"}),
        ([], {"insurer", "coordinator"}),
        (["insurer"], {"insurer"}),
        (["hospital"], set()),
        (["hospital", "coordinator"], {"coordinator"}),
    ],
)
def test_exactly_the_receivers_learn_the_figures(receivers: list[str] | None, expected: set[str]) -> None:
    assert learners(evaluate(receivers=receivers)) == expected


def test_figures_are_about_the_holder_of_the_labels() -> None:
    lines = claims_for("application/evaluate").discloses(evaluate(groups="sex"))
    assert {line.about for line in lines} == {("hospital",)}
    assert any("'sex'" in line.what for line in lines)


def test_scores_at_two_parties_are_refused_before_the_run() -> None:
    problems = claims_for("application/evaluate").problems(evaluate(("hospital", "insurer")))
    assert len(problems) == 1
    assert "2 parties (hospital, insurer)" in problems[0]


def test_steps_that_write_files_are_never_skipped() -> None:
    assert not claims_for("application/write_table").cacheable(view("table", PARTIES, party="insurer"))
    assert not claims_for("application/evaluate").cacheable(evaluate(receivers=["insurer"]))
    assert claims_for("application/evaluate").cacheable(evaluate(receivers=list(PARTIES)))
    assert claims_for("application/evaluate").cacheable(evaluate())


def test_holder_and_receivers_take_part_in_pipeline_order() -> None:
    claims = claims_for("application/evaluate")
    assert claims.takes_part(evaluate(("insurer",), receivers=["hospital"])) == ("hospital", "insurer")
    assert claims.takes_part(evaluate()) == ("hospital",)


def test_exporting_teaches_nobody_anything_and_needs_a_part_at_the_party() -> None:
    claims = claims_for("application/write_table")
    good, bad = (view("table", ("hospital", "insurer"), party=party) for party in ("insurer", "coordinator"))
    assert claims.discloses(good) == []
    assert claims.takes_part(good) == ("insurer",)
    assert claims.problems(good) == []
    assert "holds no part of 'table'; it lies at hospital, insurer" in claims.problems(bad)[0]
