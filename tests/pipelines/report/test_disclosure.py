from typing import Any

from veilflow.pipelines.ledger import Run
from veilflow.pipelines.report.disclosure import learned, not_reached


def steps(run: Run, party: str) -> list[tuple[str, str, str]]:
    return [(line.step, line.what, line.about) for line in learned(run)[party]]


def test_each_party_has_its_own_list_in_the_order_of_steps(good: Run) -> None:
    assert list(learned(good)) == ["hospital", "insurer", "coordinator"]
    assert steps(good, "hospital") == [
        ("train", "summed gradients", "insurer"),
        ("train", "loss per epoch", "insurer"),
    ]
    assert steps(good, "insurer") == [("train", "loss per epoch", "hospital"), ("evaluate", "AUC", "hospital")]
    assert steps(good, "coordinator") == [("train", "loss per epoch", "hospital and insurer")]


def test_a_failed_step_may_have_told_and_an_unreached_one_has_not(failed: Run) -> None:
    lines = learned(failed)
    assert {line.state for line in lines["hospital"]} == {"perhaps: the step failed"}
    assert [line.step for line in lines["insurer"]] == ["train"]
    assert not_reached(failed) == 1


def test_a_cached_step_told_in_an_earlier_run(good: Run) -> None:
    nodes = [node.model_copy(update={"status": "cached"}) for node in good.nodes]
    states = {line.state for line in learned(good.model_copy(update={"nodes": nodes}))["insurer"]}
    assert states == {"in an earlier run; this one reused the result"}


def changed(good: Run, **statement: Any) -> Run:
    document = good.model_dump()
    for node in document["nodes"]:
        node["discloses"] = [statement] if node["name"] == "train" else []
    return Run.model_validate(document)


def test_nobody_learns_about_its_own_data_alone(good: Run) -> None:
    run = changed(good, to=["*"], what="schema", about=["hospital"])
    assert [party for party, lines in learned(run).items() if lines] == ["insurer", "coordinator"]


def test_a_statement_about_nobody_in_particular_is_kept_and_a_stranger_gets_a_list(good: Run) -> None:
    run = changed(good, to=["hospital", "regulator"], what="that a run took place")
    assert [line.about for line in learned(run)["hospital"]] == ["–"]
    assert len(learned(run)["regulator"]) == 1
