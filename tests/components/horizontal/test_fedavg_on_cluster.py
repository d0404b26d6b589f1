"""Federated averaging at real parties: what it learns, what leaves a client, where it stops."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

pytestmark = pytest.mark.cluster

ROWS = {"hospital": 500, "insurer": 700, "test": 400}

HEAD = """
version: 1
name: fedavg
parties: [hospital, insurer, coordinator]
nodes:
  one: {{uses: data/read_table, with: {{party: hospital, path: "{folder}/hospital.csv", id: [person], label: sick}}}}
  two: {{uses: data/read_table, with: {{party: insurer, path: "{folder}/insurer.csv", id: [person], label: sick}}}}
"""

PIPELINE = (
    HEAD
    + """
  test: {{uses: data/read_table, with: {{party: coordinator, path: "{folder}/test.csv", id: [person], label: sick}}}}
  stats: {{uses: data/federated_stats, needs: {{tables: [one.table, two.table]}}}}
  scaled: {{uses: data/apply_rules, needs: {{data: one.table, rules: [stats.clean, stats.scale]}}}}
  train:
    uses: horizontal/fedavg_train
    needs: {{tables: [one.table, two.table], valid: test.table, clean: stats.clean, scale: stats.scale}}
    with:
      net: {{kind: mlp, layers: [8]}}
      rounds: 6
      batch_size: 64
      learning_rate: 0.5
      {extra}
  score: {{uses: horizontal/fedavg_predict, needs: {{model: train.model, data: test.table}}}}
  own:
    uses: horizontal/fedavg_predict
    needs: {{model: train.model, data: scaled.table}}
    with: {{use_rules: false}}
"""
)


def write_tables(folder: Path, **columns: Any) -> None:
    for number, (party, count) in enumerate(ROWS.items()):
        rng = np.random.default_rng(number)
        x = rng.normal(size=(count, 4)) * [1, 30, 0.01, 1] + [5, 0, 0, 0]
        sick = x[:, 0] - 5 + x[:, 1] / 30 + 0.5 * rng.normal(size=count) > 0
        frame = pd.DataFrame(x, columns=["age", "pulse", "acid", "mood"])
        if party == "hospital":
            frame.loc[:20, "mood"] = np.nan
        frame.insert(0, "person", [f"{party}{row}" for row in range(count)])
        frame["sick"] = sick.astype(int)
        frame.to_csv(folder / f"{party}.csv", index=False)


RECORD = (
    "privacy: {unit: record, epsilon: 8, delta: 0.0005, clip: 1.0}\n      weights: {by: contribution}\n"
    "      secure_sum: {backend: masks}"
)
PLAIN = "privacy: {unit: none}\n      secure_sum: {backend: plain}\n      guard: {bits: 24}"


@pytest.fixture(scope="module", params=["record", "plain"])
def trained(veilflow_cluster: Any, tmp_path_factory: pytest.TempPathFactory, request: Any) -> tuple[str, Any, Path]:
    out = tmp_path_factory.mktemp(request.param)
    write_tables(out)
    extra = RECORD if request.param == "record" else PLAIN
    run = veilflow_cluster.run(PIPELINE.format(folder=out, extra=extra), out)
    assert run.error is None, run.error
    return request.param, run, out


def node(run: Any, name: str) -> Any:
    return next(each for each in run.nodes if each.name == name)


def tab(run: Any, step: str, name: str) -> dict[str, list[Any]]:
    found = next(each for each in node(run, step).report if each.name == name)
    return {column.name: [row[i] for row in found.rows] for i, column in enumerate(found.columns)}


def test_it_learns_from_both_clients_and_everybody_can_score(trained: Any, veilflow_cluster: Any) -> None:
    _, run, out = trained
    scores = veilflow_cluster.frame(run, out, "score.scores", "coordinator")
    assert list(scores.columns) == ["person", "score", "sick"]
    assert roc_auc_score(scores.sick, scores.score) > 0.9
    assert run.metrics["train.valid_auc"] == pytest.approx(roc_auc_score(scores.sick, scores.score), abs=1e-4)
    own = veilflow_cluster.frame(run, out, "own.scores", "hospital")
    assert roc_auc_score(own.sick, own.score) > 0.9


def test_statistics_over_the_clients_are_those_of_the_joined_rows(trained: Any) -> None:
    _, run, out = trained
    joined = pd.concat([pd.read_csv(out / f"{party}.csv") for party in ("hospital", "insurer")])
    found = tab(run, "stats", "statistics")
    for i, name in enumerate(found["column"]):
        assert found["count"][i] == joined[name].count()
        assert found["mean"][i] == pytest.approx(joined[name].mean(), abs=1e-5 * joined[name].abs().max())
        filled = joined[name].fillna(joined[name].median())
        assert found["cleaned deviation"][i] == pytest.approx(filled.std(ddof=0), rel=1e-4)
        assert found["0.5"][i] == pytest.approx(joined[name].median(), abs=0.01 * joined[name].std())


def test_rules_fitted_over_all_clients_apply_at_each(trained: Any, veilflow_cluster: Any) -> None:
    _, run, out = trained
    scaled = veilflow_cluster.frame(run, out, "scaled.table", "hospital")
    joined = pd.concat([pd.read_csv(out / f"{party}.csv") for party in ("hospital", "insurer")])
    own = pd.read_csv(out / "hospital.csv")
    wanted = (own.pulse - joined.pulse.mean()) / joined.pulse.std(ddof=0)
    np.testing.assert_allclose(scaled.pulse, wanted, atol=1e-5)
    assert not scaled.mood.isna().any()


def test_protections_fired_are_in_the_ledger_and_the_budget_in_the_report(trained: Any) -> None:
    kind, run, _ = trained
    fired = {(each.protection, each.party) for each in node(run, "train").receipts}
    names = {name for name, _ in fired}
    report = {each.name: each for each in node(run, "train").report}
    if kind == "plain":
        assert names == {"update_norm"}
        assert "train_loss" in tab(run, "train", "history")
        return
    assert names == {"update_norm", "clip", "noise", "secure_sum"}
    assert {("noise", "hospital"), ("noise", "insurer")} <= fired
    assert ("noise", "coordinator") not in fired
    assert 0 < run.metrics["train.epsilon"] <= 8
    assert report["budget"].values["epsilon"] <= 8
    assert "train_loss" not in tab(run, "train", "history"), "a loss on private rows is not covered by the noise"
    shares = tab(run, "train", "contribution")
    for i in range(len(shares["round"])):
        both = [shares["weight hospital"][i], shares["weight insurer"][i]]
        assert sum(both) == pytest.approx(1.0, abs=1e-5)
        assert min(both) >= 0.05 - 1e-6


def test_one_party_alone_sees_updates_and_only_where_they_are_judged(trained: Any) -> None:
    kind, run, _ = trained
    sent = {(each.what, each.sender, each.to) for each in node(run, "train").sent}
    vectors = {each for each in sent if each[0] not in ("published", "runtime", "public key")}
    clients = ("hospital", "insurer")
    public = {(what, "coordinator", client) for what in ("global model", "public sum") for client in clients}
    assert public <= vectors
    vectors -= public
    if kind == "plain":
        assert vectors == {("bare vector", client, "coordinator") for client in clients}
    else:
        wanted = {(what, client, "coordinator") for what in ("masked vector", "scored update") for client in clients}
        assert vectors == wanted


SHORT = (
    HEAD
    + """
  train:
    uses: horizontal/fedavg_train
    needs: {{tables: [one.table, two.table]}}
    with: {{net: {{kind: logistic}}, rounds: 2, secure_sum: {{backend: plain}}, privacy: {{{privacy}}}}}
"""
)


def spoil(folder: Path, change: Any) -> None:
    write_tables(folder)
    frame = pd.read_csv(folder / "insurer.csv")
    change(frame).to_csv(folder / "insurer.csv", index=False)


BAD = {
    "other columns": (lambda f: f.drop(columns="acid"), "unit: none", "insurer lacks acid"),
    "text here": (lambda f: f.assign(mood="fine"), "unit: none", "mood: text at one of"),
    "strange labels": (lambda f: f.assign(sick=range(len(f))), "unit: none", "label 'sick' is not 0 and 1"),
    "one row": (lambda f: f.head(1), "unit: none", "a client needs at least 2"),
    "gaps": (lambda f: f, "unit: none", "missing or infinite cells: mood 21"),
    "no budget": (
        lambda f: f,
        "unit: record, epsilon: 0.1, noise: 0.5",
        r"epsilon 0\.1 at delta 1e-05 allows 0 more round",
    ),
}


@pytest.mark.parametrize("case", list(BAD))
def test_bad_input_stops_with_its_reason(case: str, veilflow_cluster: Any, tmp_path: Path) -> None:
    change, privacy, message = BAD[case]
    spoil(tmp_path, change)
    if case != "gaps":
        frame = pd.read_csv(tmp_path / "hospital.csv").fillna(0)
        frame.to_csv(tmp_path / "hospital.csv", index=False)
    pipeline = SHORT.format(folder=tmp_path, privacy=privacy)
    run = veilflow_cluster.run(pipeline, tmp_path)
    assert run.error is not None
    assert re.search(message, run.error.message), run.error


def pieces(ctx: Any, folder: str, rounds: int) -> tuple[Any, ...]:
    """A training on random rows, without a pipeline around it."""
    from veilflow.components.devices.pyu import run_on
    from veilflow.components.horizontal.fedavg.codec import value_bound
    from veilflow.components.horizontal.fedavg.settings import LocalSettings, ModelSpec, Privacy, Settings
    from veilflow.components.horizontal.fedavg_train.standing import Cast
    from veilflow.components.horizontal.fedavg_train.training import FedAvgTraining
    from veilflow.components.privacy.secagg.secure_sum import SecureSum
    from veilflow.components.training.checkpoints import Checkpoints

    clients = ("hospital", "insurer")

    def rows(seed: int) -> tuple[np.ndarray, np.ndarray]:
        x = np.random.default_rng(seed).normal(size=(60, 3)).astype(np.float32)
        return x, (x[:, 0] > 0).astype(np.float32)

    settings = Settings(rounds, LocalSettings(batch=16), Privacy("none"), checkpoint_every=1)
    data = {party: run_on(party, rows, seed) for seed, party in enumerate(clients)}
    cast = Cast(clients, "coordinator", "", data, None, dict.fromkeys(clients, 60), (3,))

    def make_sum(size: int) -> SecureSum:
        del size
        return SecureSum(ctx, settings.secure_sum, clients, "coordinator", value_bound(settings, len(clients)))

    training = FedAvgTraining(cast, ModelSpec("mlp", (4,)), settings, [], make_sum, None)
    training.distribute()
    digests = {party: run_on(party, lambda: "same rows") for party in clients}
    checkpoints = Checkpoints(Path(folder) / ctx.self_party, "key", digests, sorted(ctx.parties))
    return training, settings, checkpoints


def interrupted(ctx: Any, folder: str, rounds: int) -> dict[str, Any]:
    from veilflow.components.devices.pyu import publish, run_on
    from veilflow.components.training.loop import Course, train

    training, settings, checkpoints = pieces(ctx, folder, rounds)
    told: list[int] = []
    course = Course(settings.rounds, settings.patience, settings.checkpoint_every, "hospital", "round", "")
    history, identity = train(training, training.round, course, checkpoints, lambda done, _: told.append(done))
    parts = training.model_sections()
    sums = {party: run_on(party, lambda p: float(p[1]["params/Dense_0/kernel"].sum()), parts[party]) for party in parts}
    return {"told": told, "identity": identity, "rounds": len(history.rows), "sums": publish(sums)}


def test_an_interrupted_training_goes_on_from_the_last_common_round(veilflow_cluster: Any, tmp_path: Path) -> None:
    first = veilflow_cluster.call(interrupted, str(tmp_path), 4)["hospital"]
    second = veilflow_cluster.call(interrupted, str(tmp_path), 5)["hospital"]
    assert first["told"] == [1, 2, 3, 4]
    assert second["told"] == [4, 5]
    assert second["rounds"] == 5
    assert first["identity"] == second["identity"]
    assert len({round(total, 6) for total in second["sums"].values()}) == 1, "everybody has the same model"
