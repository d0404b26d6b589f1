"""What the steps of a run tell together: epsilons are added up, shown, and refused where a hidden count would be
known."""

import pytest

from veilflow.pipelines.plan import make_plan
from veilflow.pipelines.spec import loads
from veilflow.pipelines.spec.account import account
from veilflow.pipelines.spec.problem import PipelineFileError

PIPELINE = """
version: 1
name: trial
parties: [hospital, insurer, coordinator]
nodes:
  mine: {uses: data/read_table, with: {party: hospital, path: h.csv, id: [person], label: ill}}
  yours: {uses: data/read_table, with: {party: insurer, path: i.csv, id: [person]}}
  count: {uses: alignment/overlap, needs: {left: mine.table, right: yours.table}, with: {epsilon: 0.5}}
  align: {uses: alignment/anonymous_psi, needs: {tables: [mine.table, yours.table]}, with: {PROTOCOL}}
  train: {uses: vertical/secret_train, needs: {table: align.table}, with: {epsilon: 1.5}}
  again: {uses: vertical/secret_train, needs: {table: align.table}, with: {epsilon: AGAIN}}
"""


def pipeline(protocol: str = "protocol: spu_compare", again: float = 1.5, more: str = "") -> bytes:
    return (PIPELINE.replace("PROTOCOL", protocol).replace("AGAIN", str(again)) + more).encode()


def totals(text: bytes) -> dict[str, tuple[float, list[str]]]:
    found = account((step.name, step.discloses) for step in make_plan(loads(text)).steps)
    assert {total.about for total in found} == {("hospital", "insurer")}
    return {total.kind: (total.epsilon, [step for step, _ in total.steps]) for total in found}


def test_all_steps_about_the_same_people_are_added_up() -> None:
    assert totals(pipeline()) == {
        "overlap_count": (3.5, ["count", "train", "again"]),
        "metric": (3.0, ["train", "again"]),
    }


def test_figures_over_rows_that_are_people_for_certain_cost_the_count_nothing() -> None:
    assert totals(pipeline("hide_count: rounded"))["overlap_count"] == (0.5, ["count"])


def test_steps_that_together_would_tell_a_hidden_count_are_refused() -> None:
    with pytest.raises(
        PipelineFileError, match=r"epsilon 5 = count 0.5 \+ train 1.5 \+ again 3; that would all but tell"
    ):
        loads(pipeline(again=3.0))
    loads(pipeline("hide_count: rounded", again=3.0))


@pytest.mark.parametrize("protocol", ["protocol: spu_compare", "hide_count: full"])
def test_scores_that_would_tell_people_from_padding_are_refused(protocol: str) -> None:
    score = "  score: {uses: vertical/secret_predict, needs: {model: train.model, data: align.table}}\n"
    with pytest.raises(PipelineFileError, match="nobody knows which rows are padding"):
        loads(pipeline(protocol, more=score))
    loads(pipeline("hide_count: rounded", more=score))
