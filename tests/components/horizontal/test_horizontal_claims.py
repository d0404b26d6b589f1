"""What the horizontal steps say of themselves before anything runs."""

import pytest

from veilflow.components.claims import Artifact, NodeView
from veilflow.components.data.federated_stats.claims import FederatedStatsClaims
from veilflow.components.horizontal.claims import CLAIMS

TRAIN, PREDICT = CLAIMS["horizontal/fedavg_train"], CLAIMS["horizontal/fedavg_predict"]
PARTIES = ("a", "b", "c", "centre")


def node(valid: str = "", clients: tuple[str, ...] = ("a", "b", "c"), **params: object) -> NodeView:
    inputs = {"tables": [Artifact("table", (party,), party) for party in clients]}
    if valid:
        inputs["valid"] = [Artifact("table", (valid,), valid)]
    return NodeView("train", PARTIES, {key.replace("__", "/"): value for key, value in params.items()}, inputs)


def told(view: NodeView, to: str) -> str:
    return "; ".join(line.what for line in TRAIN.discloses(view) if to in line.to or "*" in line.to)


def test_clients_coordinator_and_judge_take_part_and_hold_the_model():
    assert TRAIN.takes_part(node()) == PARTIES
    assert TRAIN.takes_part(node(clients=("a", "b"), coordinator=["b"])) == ("a", "b")
    assert TRAIN.outputs(node(valid="c", clients=("a", "b")))["model"].parties == ("a", "b", "c")


def test_a_good_step_has_no_problems():
    assert TRAIN.problems(node()) == []
    assert TRAIN.problems(node(valid="centre", weights__by="contribution")) == []


@pytest.mark.parametrize(
    "view, message",
    [
        (node(clients=("a",)), "nothing to average over one client"),
        (node(weights__by="contribution"), "give 'valid'"),
        (node(privacy__unit="record", net__norm="batch"), "batch mixes the rows"),
        (node(slow=["z:2"]), "slow names z"),
        (node(patience=3), "patience needs the reference rows"),
        (node(valid="centre", net__keep_local=["Dense_1"]), "must lie at one of the clients"),
        (node(categories=["city"]), "not of the form"),
        (node(secure_sum__minimum_clients=9), "minimum_clients is 9"),
        (node(privacy__schedule="by_round"), "noise of round 1"),
        (node(privacy__unit="client", privacy__colluding=0), "protected from anybody who takes part"),
        (node(privacy__unit="client", privacy__colluding=1, coordinator=["a"]), "a, who adds up, is one of them"),
        (node(privacy__by_round=["x"]), "not of the form round:noise"),
        (node(privacy__by_round=["x"], slow=["x"]), "not of the form party:rounds"),
        (node(slow=["a:2"], compress__keep=0.5), "train: all with slow"),
        (node(privacy__schedule="increasing"), "goes between privacy/noise and privacy/noise_last"),
    ],
)
def test_what_cannot_work_is_said_before_the_run(view, message):
    assert any(message in problem for problem in TRAIN.problems(view)), TRAIN.problems(view)


def test_updates_are_shown_to_one_party_only_where_they_are_judged():
    assert "EACH CLIENT'S update" not in told(node(valid="centre"), "centre")
    judged = node(valid="centre", weights__by="contribution")
    assert "EACH CLIENT'S update" in told(judged, "centre")
    assert "EACH CLIENT'S update" not in told(judged, "a")
    assert any(send.what == "scored update" and send.to == ("centre",) for send in TRAIN.sends(judged))
    assert not any(send.what == "scored update" for send in TRAIN.sends(node()))


def test_divided_noise_names_who_knows_what():
    lines = TRAIN.discloses(node(privacy__unit="client", privacy__colluding=1))
    (note,) = [line.note for line in lines if line.kind == "model"]
    assert "any one party that sees the sum, with the noise of 1 further client(s)" in note
    (wanted,) = [each for each in TRAIN.protections(node(privacy__unit="client")) if each.name == "noise"]
    assert wanted.parameters == {"unit": "client", "colluding": 2}


def test_settings_that_protect_little_are_warned_of():
    assert TRAIN.warnings(node()) == []
    assert TRAIN.warnings(node(privacy__epsilon=10.0)) == []
    (bare,) = TRAIN.warnings(node(privacy__unit="none"))
    assert bare.startswith("no noise is added")
    assert bare.endswith("set privacy/unit: record.")
    for unit, whose in (("record", "one row"), ("client", "one bank's rows as a whole")):
        (large,) = TRAIN.warnings(node(privacy__unit=unit, privacy__epsilon=10.5))
        assert large.startswith(f"epsilon 10.5 for {whose} protects little")


def test_losses_on_private_rows_are_told_without_noise_only():
    assert "training loss" in told(node(privacy__unit="none"), "a")
    assert "training loss" not in told(node(privacy__unit="record"), "a")


def test_what_follows_the_sums_is_disclosed():
    assert "share of norms" not in told(node(), "a")
    assert "share of norms within the bound" in told(node(privacy__adaptive_clip=0.5), "a")
    follows = {"privacy__schedule": "adaptive", "privacy__noise": 1.0, "privacy__noise_last": 2.0}
    assert "budget lasts" in told(node(**follows), "centre")
    moving = {each.name: each.parameters for each in TRAIN.protections(node(privacy__adaptive_clip=0.5))}
    assert moving["clip"] == {}, "the receipt tells the bounds used"


def test_every_protection_that_is_on_must_have_its_receipt():
    names = {each.name for each in TRAIN.protections(node(compress__keep=0.1))}
    assert names == {"update_norm", "secure_sum", "clip", "noise", "common_mask"}
    bare = node(privacy__unit="none", secure_sum__backend="plain")
    assert {each.name for each in TRAIN.protections(bare)} == {"update_norm"}


def test_a_party_scores_its_own_rows_with_its_own_copy():
    model, rows = Artifact("model", ("a", "b")), Artifact("table", ("c",), "c")
    view = NodeView("p", PARTIES, {}, {"model": [model], "data": [rows]})
    assert PREDICT.takes_part(view) == ("c",)
    (problem,) = PREDICT.problems(view)
    assert problem.startswith("the model lies at a, b, the rows at c: score rows of one of the former")


def test_common_rules_are_everybodys():
    found = FederatedStatsClaims().outputs(node())
    assert found["scale"] == Artifact("common rule", PARTIES)
