"""The disclosure table says what the two releases give away; mistakes show before anything runs."""

from typing import Any

import pytest

from veilflow.components.claims import ALL, Artifact, NodeView, claims_for

PARTIES = ("hospital", "insurer", "coordinator")
TABLE = Artifact("table", ("hospital", "insurer"), "hospital")
TRAIN = claims_for("vertical/split_train:1.0.0")
PREDICT = claims_for("vertical/split_predict")


def train(table: Artifact = TABLE, valid: bool = False, **params: Any) -> NodeView:
    usual = {
        "release": "summed",
        "bottom/layers": [16],
        "bottom/activation": "relu",
        "top/layers": [16],
        "top/activation": "relu",
        "batch_size": 512,
        "minimum_batch": 32,
        "clip": 2.0,
        "noise": 1.0,
    }
    inputs = {"table": [table]} | ({"valid": [table]} if valid else {})
    return NodeView("train", PARTIES, usual | params, inputs)


def predict(model_at: tuple[str, ...] = PARTIES, **params: Any) -> NodeView:
    return NodeView("score", PARTIES, params, {"model": [Artifact("model", model_at, "hospital")], "data": [TABLE]})


def lines(claims, node: NodeView) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in claims.discloses(node):
        for party in line.to:
            found.setdefault(party, set()).add(f"{line.what} ({line.note})")
    return found


def test_summed_tells_each_holder_only_sums_of_its_own_bottom() -> None:
    found = lines(TRAIN, train())
    assert found.keys() == {"hospital", "insurer", ALL}
    for party in ("hospital", "insurer"):
        (line,) = found[party]
        assert "gradient of its own bottom, summed over each batch of at least 32 rows" in line
        assert "norm 2.0; every other holder adds Gaussian noise of 1.0 x 2.0" in line
    assert not any("label" in line.lower() for each in found.values() for line in each)


def test_no_noise_is_said_loudly() -> None:
    assert "NO noise" in next(iter(lines(TRAIN, train(noise=0.0))["insurer"]))


def test_per_example_says_that_labels_are_given_away_and_how_well() -> None:
    found = lines(TRAIN, train(release="per_example"))
    told = next(iter(found["insurer"]))
    assert "the LABEL of every training row" in told
    assert "measured AUC 1.00" in told
    assert any("embedding of every row" in line for line in found["hospital"])


def test_validation_scores_are_mentioned_only_where_there_are_any() -> None:
    assert not any("validation" in line for each in lines(TRAIN, train()).values() for line in each)
    found = lines(TRAIN, train(valid=True))
    assert any("every validation row" in line for line in found["hospital"])
    assert any("validation rows' loss and AUC" in line for line in found[ALL])


def test_the_spu_brings_in_the_coordinator_and_per_example_does_not() -> None:
    assert TRAIN.takes_part(train()) == PARTIES
    assert TRAIN.takes_part(train(release="per_example")) == ("hospital", "insurer")
    assert TRAIN.outputs(train())["model"] == Artifact("model", PARTIES, "hospital")


@pytest.mark.parametrize(
    "node, message",
    [
        (train(batch_size=16), "batch_size is 16, below minimum_batch 32"),
        (train(**{"bottom/module": "a:B"}), "bottom/module needs release: per_example"),
        (train(**{"bottom/layers": [0]}), "bottom layers have sizes 0"),
        (train(Artifact("table", ("hospital",), "hospital")), "'table' lies at hospital only"),
        (train(Artifact("table", ("hospital", "insurer"))), "no party of 'table' holds the label"),
    ],
)
def test_mistakes_show_before_anything_runs(node: NodeView, message: str) -> None:
    assert any(message in problem for problem in TRAIN.problems(node))


def test_a_good_step_has_no_problems() -> None:
    assert TRAIN.problems(train()) == []
    assert PREDICT.problems(predict()) == []


def test_scores_go_to_the_label_holder_unless_another_receiver_is_named() -> None:
    assert PREDICT.outputs(predict())["scores"] == Artifact("table", ("hospital",), "hospital")
    assert PREDICT.outputs(predict(receiver=["insurer"]))["scores"] == Artifact("table", ("insurer",), None)
    found = lines(PREDICT, predict(receiver=["coordinator"]))
    assert any("score of every row" in line for line in found["coordinator"])
    assert PREDICT.takes_part(predict(("hospital", "insurer"), receiver=["coordinator"])) == PARTIES


def test_predicting_with_a_per_example_model_shows_embeddings_to_the_label_holder() -> None:
    assert any(
        "embedding of every row" in line for line in lines(PREDICT, predict(("hospital", "insurer")))["hospital"]
    )
    assert not any("embedding" in line for each in lines(PREDICT, predict()).values() for line in each)
