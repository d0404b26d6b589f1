"""Split learning at real parties: what it learns, what it opens, what it stores, and where it stops."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

pytestmark = pytest.mark.cluster

ROWS = 360

PIPELINE = """
version: 1
name: split
parties: [hospital, insurer, coordinator]
nodes:
  mine: {{uses: data/read_table, with: {{party: hospital, path: "{folder}/hospital.csv", id: [person], label: sick}}}}
  yours: {{uses: data/read_table, with: {{party: insurer, path: "{folder}/insurer.csv", id: [person]}}}}
  align: {{uses: alignment/psi, needs: {{left: mine.table, right: yours.table}}}}
  cut: {{uses: data/train_test_split, needs: {{data: align.table}}}}
  scale: {{uses: data/scale, needs: {{data: cut.train}}}}
  scaled: {{uses: data/apply_rules, needs: {{data: cut.test, rules: [scale.rule]}}}}
  train:
    uses: vertical/split_train
    needs: {{table: scale.table, valid: scaled.table, rules: [scale.rule]}}
    with:
      {{release: {release}, epochs: 8, batch_size: 48, epsilon: 40, learning_rate: 0.03,
        bottom: {{layers: [6], by_party: ["insurer:8-5:tanh"]}}}}
  raw: {{uses: vertical/split_predict, needs: {{model: train.model, data: cut.test}}}}
  ready: {{uses: vertical/split_predict, needs: {{model: train.model, data: scaled.table}}, with: {{use_rules: false}}}}
  away:
    uses: vertical/split_predict
    needs: {{model: train.model, data: cut.test}}
    with: {{receiver: coordinator}}
"""


def write_tables(folder: Path, seed: int = 5) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(ROWS, 3)) * [1, 5, 20], rng.normal(size=(ROWS, 2)) * [1, 100]
    signal = a[:, 0] - a[:, 2] / 20 + b[:, 0] + b[:, 1] / 100
    person = [f"p{row}" for row in range(ROWS)]
    sick = (signal + rng.normal(0, 0.3, ROWS) > 0).astype(int)
    mine = pd.DataFrame({"person": person, "age": a[:, 0], "pulse": a[:, 1], "weight": a[:, 2], "sick": sick})
    mine.to_csv(folder / "hospital.csv", index=False)
    pd.DataFrame({"person": person, "visits": b[:, 0], "cost": b[:, 1]}).to_csv(folder / "insurer.csv", index=False)


@pytest.fixture(scope="module", params=["summed", "per_example"])
def trained(veilflow_cluster: Any, tmp_path_factory: pytest.TempPathFactory, request: Any) -> tuple[str, Any, Path]:
    """The pipeline above, run once per release: release, ledger entry, output folder."""
    out = tmp_path_factory.mktemp(request.param)
    write_tables(out)
    run = veilflow_cluster.run(PIPELINE.format(folder=out, release=request.param), out)
    assert run.error is None, run.error
    return request.param, run, out


def node(run: Any, name: str) -> Any:
    return next(each for each in run.nodes if each.name == name)


def test_it_learns_what_lies_at_both_parties(trained: Any, veilflow_cluster: Any) -> None:
    release, run, out = trained
    scores = veilflow_cluster.frame(run, out, "raw.scores", "hospital")
    assert list(scores.columns) == ["person", "score", "sick"]
    assert len(scores) == ROWS // 5
    assert roc_auc_score(scores.sick, scores.score) > 0.85
    if release == "per_example":
        assert run.metrics["train.valid_auc"] == pytest.approx(roc_auc_score(scores.sick, scores.score), abs=0.01)
    else:  # noise of two holders on a sum over 72 rows: 0.01
        brier = float(((scores.score - scores.sick) ** 2).mean())
        assert run.metrics["train.valid_brier"] == pytest.approx(brier, abs=0.06)
        assert run.metrics["train.valid_brier"] != pytest.approx(brier, abs=1e-5), "a figure without noise"


def test_rules_in_the_bundle_do_what_was_done_before_training(trained: Any, veilflow_cluster: Any) -> None:
    _, run, out = trained
    raw, ready = (veilflow_cluster.frame(run, out, f"{name}.scores", "hospital") for name in ("raw", "ready"))
    np.testing.assert_allclose(raw.score, ready.score, atol=2e-3)


def test_another_receiver_gets_bare_scores_and_the_label_holder_none(trained: Any, veilflow_cluster: Any) -> None:
    _, run, out = trained
    away = veilflow_cluster.frame(run, out, "away.scores", "coordinator")
    assert list(away.columns) == ["score"]
    raw = veilflow_cluster.frame(run, out, "raw.scores", "hospital")
    np.testing.assert_allclose(away.score, raw.score, atol=2e-3)
    assert not stored(out, "hospital", "away", "scores")


def test_the_bundle_alone_gives_the_scores(trained: Any, veilflow_cluster: Any) -> None:
    """Joining every party's part outside all devices and running plain JAX: the same scores."""
    release, run, out = trained
    scores = veilflow_cluster.frame(run, out, "ready.scores", "hospital")
    frames = {party: veilflow_cluster.frame(run, out, "scaled.table", party) for party in ("hospital", "insurer")}
    logits = plain_logits(release, out, frames)
    np.testing.assert_allclose(scores.score, 1 / (1 + np.exp(-logits)), atol=5e-3)


def plain_logits(release: str, out: Path, frames: dict[str, pd.DataFrame]) -> np.ndarray:
    from veilflow.components.devices.objects import unpack
    from veilflow.components.devices.secret_shares import join
    from veilflow.components.training.parts import section
    from veilflow.components.vertical.split import clear
    from veilflow.components.vertical.split.model import Dense
    from veilflow.components.vertical.split.owner import embed, stored_params

    parts = {}
    for party in ("hospital", "insurer", "coordinator"):
        files = stored(out, party, "train", "model")
        if files:
            parts[party] = unpack(files[-1].read_bytes())
    assert len({part[0]["identity"] for part in parts.values()}) == 1
    bottoms = {"hospital": Dense((6,), "relu"), "insurer": Dense((8, 5), "tanh")}
    columns = {"hospital": ["age", "pulse", "weight"], "insurer": ["visits", "cost"]}
    embeddings = [
        embed(
            bottom,
            stored_params(bottom, section(parts[party], "bottom")),
            frames[party][columns[party]].to_numpy(np.float32),
        )
        for party, bottom in bottoms.items()
    ]
    if release == "per_example":
        assert "coordinator" not in parts
        top = section(parts["hospital"], "top")[1]["top"]
    else:
        held = {party: section(part, "top") for party, part in parts.items()}
        ranked = sorted(held.values(), key=lambda each: each[0]["rank"])
        runtime = json.dumps(ranked[0][0]["runtime"])
        top = join(runtime, [arrays["share/top"].tobytes() for _, arrays in ranked])["top"]
    return clear.logits(top, Dense((16,), "relu"), embeddings)


def stored(out: Path, party: str, name: str, output: str) -> list[Path]:
    found = (out / party / "artifacts").glob(f"*/{output}*")
    return [path for path in found if path.is_file() and (path.parent / ".node").read_text() == name]


def test_the_report_shows_every_epoch_and_the_receipts_what_protected_it(trained: Any) -> None:
    release, run, _ = trained
    step = node(run, "train")
    history = next(tab for tab in step.report if tab.name == "history")
    figures = ["train_loss", "valid_loss", "valid_auc"] if release == "per_example" else ["train_brier", "valid_brier"]
    assert [column.name for column in history.columns] == ["epoch", *figures]
    assert len(history.rows) == 8
    fired = {each.protection: each.parameters for each in step.receipts}
    if release == "per_example":
        assert not fired
    else:
        assert fired.keys() == {"minimum_batch", "clip", "noise", "epsilon"}
        assert fired["epsilon"]["label"] == pytest.approx(40, rel=1e-2)
        assert fired["epsilon"]["told_label"] == pytest.approx(run.metrics["train.epsilon_label"], rel=1e-6)
        assert run.metrics["train.epsilon_record"] > run.metrics["train.epsilon_label"]
        assert fired["minimum_batch"] == {"rows": 48, "minimum": 32}
        drawn = {each.party: each.parameters["drawn_here"] for each in step.receipts if each.protection == "noise"}
        batches = fired["clip"]["batches"]
        assert batches > 0
        assert drawn == {"hospital": batches, "insurer": batches, "coordinator": 0}
        assert fired["clip"]["bound"] == 2.0
        assert fired["noise"]["added_by"] == ["hospital", "insurer"]


def pieces(ctx: Any, epochs: int, folder: str = "", patience: int = 0) -> tuple[Any, ...]:
    """A summed training on random rows, without a pipeline around it."""
    from veilflow.components.devices.pyu import run_on
    from veilflow.components.devices.secret import SecretMachine
    from veilflow.components.training.checkpoints import Checkpoints, data_digest
    from veilflow.components.vertical.split.model import Dense, SplitModel
    from veilflow.components.vertical.split.roster import Roster
    from veilflow.components.vertical.split.settings import Optimiser, Settings
    from veilflow.components.vertical.split_train.summed import SummedTraining

    roster = Roster({"hospital": ("a", "b"), "insurer": ("c",)}, "hospital", "sick")
    model = SplitModel({"hospital": Dense((3,), "relu"), "insurer": Dense((2,), "relu")}, Dense((2,), "relu"))
    settings = Settings(
        "summed", epochs, 32, 16, 2.0, 1.0, Optimiser("adam", 0.02), Optimiser("momentum", 0.05), patience, 1
    )

    def rows(features: int, label: bool) -> tuple[np.ndarray, np.ndarray | None]:
        rng = np.random.default_rng(features)
        x = rng.normal(size=(96, features)).astype(np.float32)
        return x, (x[:, 0] > 0).astype(np.float32) if label else None

    data = {"hospital": run_on("hospital", rows, 2, True), "insurer": run_on("insurer", rows, 1, False)}
    training = SummedTraining(SecretMachine(ctx.make_spu()), roster, model, settings, data, 32)
    digests = {party: run_on(party, data_digest, pair) for party, pair in data.items()}
    where = Path(folder) / ctx.self_party if folder else None
    checkpoints = Checkpoints(where, "key", digests, sorted(ctx.parties)) if where else None
    return training, settings, roster, data, checkpoints


def opened_names(ctx: Any) -> list[list[str]]:
    """Every (receiver, variable) that is opened in a training with validation."""
    from veilflow.components.devices.secret import SecretMachine
    from veilflow.components.training.loop import train
    from veilflow.components.vertical.split_train.epochs import Validation, course_of, epoch_step

    seen: set[tuple[str, str]] = set()
    original = SecretMachine.run

    def watch(self: Any, program: Any, feeds: Any = (), publics: Any = None, opens: Any = None) -> Any:
        seen.update((party, name) for party, names in (opens or {}).items() for name in names)
        return original(self, program, feeds, publics, opens)

    SecretMachine.run = watch
    try:
        training, settings, roster, data, _ = pieces(ctx, 2)
        step = epoch_step(training, roster.holders, 96, Validation(data, 96))
        train(training, step, course_of(settings, roster.holders), None, lambda *_: None)
    finally:
        SecretMachine.run = original
    return sorted([list(each) for each in seen])


def test_nothing_is_opened_but_noised_sums_to_their_owners_and_two_noised_figures(veilflow_cluster: Any) -> None:
    for found in veilflow_cluster.call(opened_names).values():
        assert found == [
            ["hospital", "figure/judged"],
            ["hospital", "figure/trained"],
            ["hospital", "hospital/gradient"],
            ["insurer", "insurer/gradient"],
        ]


def interrupted(ctx: Any, folder: str, epochs: int) -> dict[str, Any]:
    from veilflow.components.devices.pyu import publish, run_on
    from veilflow.components.training.loop import train
    from veilflow.components.vertical.split_train.epochs import course_of, epoch_step

    training, settings, roster, _, checkpoints = pieces(ctx, epochs, folder)

    def sums() -> dict[str, float]:
        bottoms = training.model_sections()["bottom"]
        found: dict[str, float] = publish(
            {
                party: run_on(party, lambda p: float(p[1]["params/layer1/kernel"].sum()), b)
                for party, b in bottoms.items()
            }
        )
        return found

    told: dict[int, dict[str, float]] = {}
    step, course = epoch_step(training, roster.holders, 96, None), course_of(settings, roster.holders)
    history, identity = train(training, step, course, checkpoints, lambda n, _: told.update({n: sums()}))
    losses = history.columns()["train_brier"]
    return {"told": list(told), "after": list(told.values()), "losses": losses, "identity": identity, "sums": sums()}


def test_an_interrupted_training_goes_on_where_all_parties_can(veilflow_cluster: Any, tmp_path: Path) -> None:
    first = veilflow_cluster.call(interrupted, str(tmp_path), 3)["hospital"]
    assert first["told"] == [1, 2, 3]
    # One party lost its last checkpoint: all go back to the one before.
    (tmp_path / "insurer" / "epoch-000002.npz").unlink()
    second = veilflow_cluster.call(interrupted, str(tmp_path), 4)["hospital"]
    assert second["told"] == [2, 3, 4]
    assert second["losses"][0] == first["losses"][0]
    assert second["identity"] == first["identity"]
    third = veilflow_cluster.call(interrupted, str(tmp_path), 3)["hospital"]
    assert third["told"] == []
    assert third["losses"] == second["losses"][:3]
    assert third["sums"] == second["after"][1], "the parameters come back exactly"


def stopped_early(ctx: Any, folder: str, losses: list[float]) -> dict[str, Any]:
    """Training whose losses are made up, so that the best epoch is known; a bottom's bias tells the epochs apart."""
    from veilflow.components.devices.pyu import publish, run_on
    from veilflow.components.training.loop import train
    from veilflow.components.vertical.split_train.epochs import course_of, epoch_step

    training, settings, roster, _, checkpoints = pieces(ctx, len(losses), folder, patience=2)
    original, done = training.epoch, len(list((Path(folder) / ctx.self_party).glob("*.npz"))) and 2
    script = iter(losses[done:])

    def epoch(order: Any) -> dict[str, float]:
        original(order)
        return {"train_brier": next(script)}

    training.epoch = epoch
    marks: list[float] = []

    def mark() -> float:
        part = training.model_sections()["bottom"]["insurer"]
        return float(publish(run_on("insurer", lambda p: float(p[1]["params/layer1/bias"].sum()), part)))

    step, course = epoch_step(training, roster.holders, 96, None), course_of(settings, roster.holders)
    history, _ = train(training, step, course, checkpoints, lambda *_: marks.append(mark()))
    return {"epochs": len(history.rows), "marks": marks, "kept": mark()}


def test_patience_brings_back_the_best_epoch_also_after_an_interruption(veilflow_cluster: Any, tmp_path: Path) -> None:
    found = veilflow_cluster.call(stopped_early, str(tmp_path / "whole"), [3.0, 1.0, 2.0, 2.5, 0.5])["hospital"]
    assert found["epochs"] == 4, "two epochs without a better loss"
    assert found["kept"] == found["marks"][1]
    first = veilflow_cluster.call(stopped_early, str(tmp_path / "cut"), [3.0, 1.0, 9.0])["hospital"]
    second = veilflow_cluster.call(stopped_early, str(tmp_path / "cut"), [3.0, 1.0, 2.0, 2.5, 0.5])["hospital"]
    assert second["epochs"] == 4
    assert second["kept"] == first["marks"][1]


def test_checkpoints_of_other_rows_are_not_used(veilflow_cluster: Any, tmp_path: Path) -> None:
    veilflow_cluster.call(interrupted, str(tmp_path), 2)
    path = tmp_path / "insurer" / "epoch-000001.npz"

    from veilflow.components.devices.objects import pack, unpack
    from veilflow.components.training.checkpoints import sealed

    document, arrays = unpack(path.read_bytes())
    path.write_bytes(sealed(pack({**document, "data": "of other rows"}, arrays)))
    assert veilflow_cluster.call(interrupted, str(tmp_path), 1)["hospital"]["told"] == [1]


def test_a_checkpoint_that_was_altered_is_named_and_not_trained_on(veilflow_cluster: Any, tmp_path: Path) -> None:
    veilflow_cluster.call(interrupted, str(tmp_path), 2)
    path = tmp_path / "insurer" / "epoch-000001.npz"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(Exception, match=r"the checkpoint epoch-000001\.npz is damaged or was altered; remove it"):
        veilflow_cluster.call(interrupted, str(tmp_path), 1)


BAD = """
version: 1
name: bad
parties: [hospital, insurer, coordinator]
nodes:
  mine: {{uses: data/read_table, with: {{party: hospital, path: "{folder}/hospital.csv", id: [person], label: sick}}}}
  yours: {{uses: data/read_table, with: {{party: insurer, path: "{folder}/insurer.csv", id: [person]}}}}
  align: {{uses: alignment/psi, needs: {{left: mine.table, right: yours.table}}}}
  train: {{uses: vertical/split_train, needs: {{table: align.table}}, with: {{epochs: 1, release: {release}}}}}
"""


def spoil(folder: Path, how: str) -> None:
    write_tables(folder)
    mine, yours = (pd.read_csv(folder / f"{party}.csv") for party in ("hospital", "insurer"))
    if how == "one class":
        mine["sick"] = 1
    if how == "missing cells":
        yours.loc[:6, "cost"] = np.nan
    if how == "few rows":
        mine = mine.head(9)
    mine.to_csv(folder / "hospital.csv", index=False)
    yours.to_csv(folder / "insurer.csv", index=False)


@pytest.mark.parametrize(
    "how, release, message",
    [
        ("one class", "summed", r"label 'sick' holds one class only in 360 row\(s\)"),
        ("missing cells", "per_example", "1 feature.s. have missing or infinite cells: cost 7 of 360 rows"),
        ("few rows", "summed", r"9 row\(s\) cannot fill a batch of at least 32"),
    ],
)
def test_unfit_data_stops_everybody_with_one_clear_message(
    veilflow_cluster: Any, tmp_path: Path, how: str, release: str, message: str
) -> None:
    import re

    spoil(tmp_path, how)
    run = veilflow_cluster.run(BAD.format(folder=tmp_path, release=release), tmp_path)
    assert run.status == "failed"
    assert re.search(message, run.error.message), run.error.message
    assert not list(tmp_path.glob("*/artifacts/*/model*"))
