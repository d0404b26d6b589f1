"""The disclosure table of secret training says what is opened to whom; mistakes show before anything runs."""

from typing import Any

import pytest

from veilflow.components.claims import ALL, COUNT, PADDING, PEOPLE, Artifact, NodeView, Protection, claims_for
from veilflow.pipelines.spec import loads
from veilflow.pipelines.spec.problem import PipelineFileError

PARTIES = ("hospital", "insurer", "coordinator")
HOLDERS = ("hospital", "insurer")
TABLE = Artifact("secret_table", PARTIES, "hospital")
ROUNDED = Artifact("secret_table", PARTIES, "hospital", HOLDERS, (PEOPLE, COUNT))
COMPARED = Artifact("secret_table", PARTIES, "hospital", HOLDERS, (PEOPLE, COUNT, PADDING))
TRAIN, PREDICT = claims_for("vertical/secret_train:1.0.0"), claims_for("vertical/secret_predict")


def train(table: Artifact = TABLE, **params: Any) -> NodeView:
    usual = {"layers": [], "optimiser": "sgd", "learning_rate": 0.3, "batch_size": 512, "clip": 1.0}
    return NodeView("train", PARTIES, usual | params, {"table": [table]})


def predict(table: Artifact = TABLE, **params: Any) -> NodeView:
    model = Artifact("model", PARTIES, "hospital", table.about, table.hidden)
    return NodeView("score", PARTIES, params, {"model": [model], "data": [table]})


def kinds(claims: Any, node: NodeView) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in claims.discloses(node):
        for party in line.to:
            found.setdefault(party, set()).add(line.kind)
    return found


def test_by_default_only_means_are_opened() -> None:
    assert kinds(TRAIN, train()) == {ALL: {"metric", "row_order"}}
    assert kinds(TRAIN, train(open_to=["insurer"]))["insurer"] == {"model"}
    private = kinds(TRAIN, train(metrics_to="hospital"))
    assert private == {"hospital": {"metric"}, ALL: {"row_order"}}


def test_held_out_rows_are_mentioned_where_there_are_any() -> None:
    texts = [line.what for line in TRAIN.discloses(train(test_fraction=0.2))]
    assert any("AUC of the rows held out" in text for text in texts)
    assert not any("AUC" in line.what for line in TRAIN.discloses(train()))


def test_scores_go_to_the_labels_holder_unless_another_is_named() -> None:
    assert kinds(PREDICT, predict()) == {"hospital": {"score"}, ALL: {"row_count"}}
    named = kinds(PREDICT, predict(receiver="insurer", with_label=True))
    assert named == {"insurer": {"score", "label"}, ALL: {"row_count"}}


def test_what_is_opened_may_be_sent_to_the_named_parties_only() -> None:
    (opened,) = [send for send in PREDICT.sends(predict(receiver="insurer")) if send.what == "opened"]
    assert opened.to == ("insurer",)
    node = train(metrics_to="hospital", open_to=["insurer"])
    (opened,) = [send for send in TRAIN.sends(node) if send.what == "opened"]
    assert opened.to == ("hospital", "insurer")


def test_clipping_must_fire_where_there_are_hidden_layers() -> None:
    assert Protection("clip", PARTIES, {"bound": 1.0}) in TRAIN.protections(train(layers=[8]))
    assert [each.name for each in TRAIN.protections(train())] == ["minimum_rows", "stays_shares"]


def test_where_nobody_knows_which_rows_are_people_figures_tell_of_the_count_with_an_epsilon() -> None:
    node = train(COMPARED, epsilon=1.5)
    (line,) = [line for line in TRAIN.discloses(node) if line.kind == "overlap_count"]
    assert (line.to, line.epsilon) == ((ALL,), 1.5)
    assert Protection(
        "figure_noise", PARTIES, {"epsilon": 1.5, "evaluations": 1, "lifetime_epsilon": 20.0}
    ) in TRAIN.protections(node)


def test_over_rows_that_are_people_for_certain_figures_tell_nothing_of_the_count() -> None:
    lines = TRAIN.discloses(train(ROUNDED, test_fraction=0.2))
    assert "overlap_count" not in {line.kind for line in lines}
    (metric,) = [line for line in lines if line.kind == "metric"]
    assert metric.epsilon == 2.0
    assert "2-differentially private for one person more or less, 4 for a person's presence" in metric.note


def test_whoever_sees_figures_all_are_told_verdicts_and_charged_for_them() -> None:
    private = [line for line in TRAIN.discloses(train(ROUNDED, metrics_to="hospital")) if line.kind == "metric"]
    assert [(line.to, line.epsilon) for line in private] == [(("hospital",), 2.0), ((ALL,), 0.0)]
    assert "every party is charged" in private[1].note


def test_a_hidden_number_that_repeated_trainings_would_tell_is_warned_of() -> None:
    """Five trainings at epsilon 4, which lifetime_epsilon 20 allows, give the exact number in 53 of 100 cases."""
    assert any("all but tell how many" in each for each in TRAIN.warnings(train(COMPARED)))
    (line,) = [line for line in TRAIN.discloses(train(COMPARED)) if line.kind == "overlap_count"]
    assert "up to epsilon 20 in all" in line.note
    assert TRAIN.warnings(train(COMPARED, lifetime_epsilon=0.0))
    assert not TRAIN.warnings(train(COMPARED, lifetime_epsilon=4.0))
    assert not TRAIN.warnings(train(ROUNDED))
    known = Artifact("secret_table", PARTIES, None, HOLDERS, (PEOPLE,))
    assert any("epsilon" in each for each in TRAIN.warnings(train(known, epsilon=11.0)))
    assert not TRAIN.warnings(train())


def test_values_far_from_all_others_would_tell_who_is_common_unless_they_are_cut() -> None:
    def told(bounded: bool) -> set[str]:
        table = Artifact("secret_table", PARTIES, "hospital", HOLDERS, (PEOPLE, COUNT), bounded)
        return kinds(TRAIN, train(table))[ALL]

    assert told(bounded=False) - told(bounded=True) == {"membership"}


def test_what_would_tell_the_count_or_padding_is_refused_before_anything_runs() -> None:
    assert any("open_to would tell more" in problem for problem in TRAIN.problems(train(ROUNDED, open_to=["insurer"])))
    assert TRAIN.problems(train(Artifact("secret_table", PARTIES, None, HOLDERS, (PEOPLE,)), open_to=["insurer"])) == []
    assert any("all but tell how many" in problem for problem in TRAIN.problems(train(ROUNDED, epsilon=5.0)))
    assert any(
        "noise is all that is left" in each for each in TRAIN.problems(train(ROUNDED, epochs=200, evaluate_every=1))
    )
    assert any("which rows are padding" in problem for problem in PREDICT.problems(predict(COMPARED)))
    assert PREDICT.problems(predict(ROUNDED)) == []


def test_scores_of_an_anonymous_table_tell_of_single_people_and_the_plan_says_so() -> None:
    assert kinds(PREDICT, predict(ROUNDED))["hospital"] == {"score", "membership", "overlap_count"}
    (scores,) = [each for name, each in PREDICT.outputs(predict(ROUNDED)).items() if name == "scores"]
    evaluate = claims_for("application/evaluate")
    node = NodeView("judge", PARTIES, {}, {"scores": [scores]})
    assert "membership" in {line.kind for line in evaluate.discloses(node)}


@pytest.mark.parametrize(
    "params, message",
    [
        ({"module": "pkg.mod"}, "not of the form package.module:Class"),
        ({"module": "a:B", "layers": [3]}, "either layers or a module"),
        ({"layers": [0]}, "each must be 1 to 4096"),
        ({"learning_rate": 1e-5, "clip": 0.0}, "too small for 18 fraction bits"),
    ],
)
def test_mistakes_show_before_anything_runs(params: dict[str, Any], message: str) -> None:
    assert any(message in problem for problem in TRAIN.problems(train(**params)))
    assert TRAIN.problems(train()) == []


def test_secretflows_own_trainers_do_not_take_a_secret_table() -> None:
    pipeline = b"""
version: 1
name: interop
parties: [hospital, insurer, coordinator]
nodes:
  mine:
    uses: data/read_table
    with: {party: hospital, path: "sample://breast_cancer/hospital", id: [person], label: malignant}
  yours: {uses: data/read_table, with: {party: insurer, path: "sample://breast_cancer/insurer", id: [person]}}
  align: {uses: alignment/psi, needs: {left: mine.table, right: yours.table}}
  share: {uses: vertical/share_table, needs: {data: align.table}}
  theirs: {uses: ml.train/ss_sgd_train, needs: {input_ds: share.table}}
"""
    with pytest.raises(PipelineFileError, match=r"vf_secret_table"):
        loads(pipeline)
