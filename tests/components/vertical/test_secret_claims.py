"""The disclosure table of secret training says what is opened to whom; mistakes show before anything runs."""

from typing import Any

import pytest

from veilflow.components.claims import ALL, Artifact, NodeView, Protection, claims_for
from veilflow.pipelines.spec import loads
from veilflow.pipelines.spec.problem import PipelineFileError

PARTIES = ("hospital", "insurer", "coordinator")
TABLE = Artifact("secret_table", PARTIES, "hospital")
TRAIN, PREDICT = claims_for("vertical/secret_train:1.0.0"), claims_for("vertical/secret_predict")


def train(**params: Any) -> NodeView:
    usual = {"layers": [], "optimiser": "sgd", "learning_rate": 0.3, "batch_size": 512, "clip": 1.0}
    return NodeView("train", PARTIES, usual | params, {"table": [TABLE]})


def predict(**params: Any) -> NodeView:
    model = Artifact("model", PARTIES, "hospital")
    return NodeView("score", PARTIES, params, {"model": [model], "data": [TABLE]})


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
