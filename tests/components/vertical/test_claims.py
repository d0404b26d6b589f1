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
        "epochs": 20,
        "clip": 2.0,
        "noise": -1.0,
        "epsilon": 4.0,
        "delta": 1e-5,
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
        assert "norm 2; every holder adds Gaussian noise of 5.034 x 2" in line
        assert "epsilon 4 for a label, 8.84 for a record, at delta 1e-05" in line
        assert "vertical/secret_train" in line


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
    assert any("one of the validation rows" in line for line in found[ALL])
    assert not any("score" in line for each in found.values() for line in each), "their logits stay shares"
    found = lines(TRAIN, train(valid=True, release="per_example"))
    assert any("validation rows' loss and AUC" in line for line in found[ALL])


def test_what_noise_and_epsilon_must_leave_receipts_of_is_known_before_the_run() -> None:
    wanted = {each.name: each.parameters for each in TRAIN.protections(train())}
    assert wanted["noise"]["deviation"] == pytest.approx(10.068)
    assert wanted["epsilon"]["label"] == pytest.approx(4.0, rel=1e-3)
    assert "noise" not in {each.name for each in TRAIN.protections(train(noise=0.0))}
    assert "epsilon" not in {each.name for each in TRAIN.protections(train(noise=0.0))}


@pytest.mark.parametrize(
    "params, warned",
    [
        ({}, None),
        ({"epsilon": 10.0}, None),
        ({"epsilon": 11.0}, "epsilon 11 for one person's label protects little (above 10)"),
        ({"noise": 1.0}, "epsilon 30 for one person's label protects little"),
        ({"noise": 0.0}, "no noise is added, so nothing bounds what repeated sums tell about one person's label"),
        ({"release": "per_example"}, "per_example tells feature parties the label of every row"),
    ],
)
def test_settings_that_protect_little_are_warned_of(params: dict[str, Any], warned: str | None) -> None:
    found = TRAIN.warnings(train(**params))
    assert len(found) == (warned is not None)
    assert all(warned in each for each in found if warned)


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
