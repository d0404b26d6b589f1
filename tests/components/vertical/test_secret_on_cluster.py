"""Training on shares at real parties: what it learns, what it opens, what it stores, and where it stops."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

pytestmark = pytest.mark.cluster

ROWS = 600

PIPELINE = """
version: 1
name: secret
parties: [hospital, insurer, coordinator]
nodes:
  mine: {{uses: data/read_table, with: {{party: hospital, path: "{folder}/hospital.csv", id: [person], label: sick}}}}
  yours: {{uses: data/read_table, with: {{party: insurer, path: "{folder}/insurer.csv", id: [person]}}}}
  align: {{uses: alignment/psi, needs: {{left: mine.table, right: yours.table}}}}
  share: {{uses: vertical/share_table, needs: {{data: align.table}}, with: {{mask: counts}}}}
  train:
    uses: vertical/secret_train
    needs: {{table: share.table}}
    with: {{epochs: 12, batch_size: 64, learning_rate: 0.5, test_fraction: 0.25, epsilon: 3, open_to: [insurer]}}
  held:
    uses: vertical/secret_predict
    needs: {{model: train.model, data: share.table}}
    with: {{receiver: insurer, rows: held_out, with_label: true}}
  judge: {{uses: application/evaluate, needs: {{scores: held.scores}}}}
  own: {{uses: vertical/secret_predict, needs: {{model: train.model, data: align.table}}}}
  net:
    uses: vertical/secret_train
    needs: {{table: share.table}}
    with:
      layers: [4]
      optimiser: adam
      learning_rate: 0.05
      epochs: 4
      batch_size: 64
      epsilon: 1
      metrics_to: hospital
"""


def write_tables(folder: Path, seed: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(ROWS, 2)), rng.normal(size=(ROWS, 2))
    counts = (rng.random(ROWS) < 0.6).astype(int)
    signal = a[:, 0] - a[:, 1] + b[:, 0] + rng.normal(0, 1, ROWS)
    # Rows that do not count say the opposite: a model that saw them would be no good.
    sick = np.where(counts == 1, signal > 0, signal < 0).astype(int)
    person = [f"p{row}" for row in range(ROWS)]
    mine = pd.DataFrame({"person": person, "age": a[:, 0], "pulse": a[:, 1], "sick": sick})
    yours = pd.DataFrame({"person": person, "visits": b[:, 0], "counts": counts, "cost": b[:, 1]})
    mine.to_csv(folder / "hospital.csv", index=False)
    yours.to_csv(folder / "insurer.csv", index=False)
    return mine.merge(yours, on="person")


@pytest.fixture(scope="module")
def trained(veilflow_cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path, pd.DataFrame]:
    out = tmp_path_factory.mktemp("secret")
    rows = write_tables(out)
    run = veilflow_cluster.run(PIPELINE.format(folder=out), out)
    assert run.error is None, run.error
    return run, out, rows


def stored(out: Path, party: str, node: str, name: str) -> Path:
    found = [
        each for each in (out / party / "artifacts").glob(f"*/{name}") if (each.parent / ".node").read_text() == node
    ]
    return found[-1]


PARTIES = ("hospital", "insurer", "coordinator")
FEATURES = ["age", "pulse", "visits", "cost"]


def test_it_learns_from_rows_that_count_and_from_no_others(trained: Any, veilflow_cluster: Any) -> None:
    run, out, rows = trained
    scores = veilflow_cluster.frame(run, out, "own.scores", "hospital")
    assert list(scores.columns) == ["person", "score", "sick"]
    joined = scores.merge(rows, on="person", suffixes=("", "_"))
    counted = joined[joined.counts == 1]
    auc = roc_auc_score(counted.sick, counted.score)
    plain = LogisticRegression().fit(counted[FEATURES], counted.sick)
    assert auc == pytest.approx(roc_auc_score(counted.sick, plain.predict_proba(counted[FEATURES])[:, 1]), abs=0.01)
    assert run.metrics["train.test_auc"] > 0.8


def test_figures_computed_inside_are_those_of_the_opened_scores(trained: Any, veilflow_cluster: Any) -> None:
    run, out, _ = trained
    assert run.metrics["train.test_loss"] > 0
    held = veilflow_cluster.frame(run, out, "held.scores", "insurer")
    assert list(held.columns) == ["score", "sick"]
    assert len(held) == ROWS // 4
    # The scores include rows that do not count, the figures inside do not, and are noised as the mask is secret.
    assert run.metrics["judge.auc"] == pytest.approx(roc_auc_score(held.sick, held.score), abs=1e-4)
    assert 0 < run.metrics["train.test_loss"] < log_loss(held.sick, held.score)


def test_the_opened_model_gives_the_scores_and_lies_where_it_was_asked_for(trained: Any, veilflow_cluster: Any) -> None:
    from veilflow.components.devices.objects import unpack
    from veilflow.components.training.parts import section

    run, out, rows = trained
    parts = {p: unpack(stored(out, p, "train", "model").read_bytes()) for p in ("hospital", "insurer", "coordinator")}
    assert {p: "open" in part[0]["sections"] for p, part in parts.items()} == {
        "hospital": False,
        "insurer": True,
        "coordinator": False,
    }
    flat = section(parts["insurer"], "open")[1]["model"]
    scores = veilflow_cluster.frame(run, out, "own.scores", "hospital").merge(rows, on="person")
    logits = scores[FEATURES].to_numpy() @ flat[:-1] + flat[-1]
    np.testing.assert_allclose(scores.score, 1 / (1 + np.exp(-logits)), atol=2e-3)


def test_with_one_receiver_of_figures_the_others_see_none(trained: Any) -> None:
    from veilflow.components.devices.objects import unpack

    run, out, _ = trained
    assert not [name for name in run.metrics if name.startswith("net.") and "loss" in name]
    parts = {p: unpack(stored(out, p, "net", "model").read_bytes()) for p in ("hospital", "insurer", "coordinator")}
    assert {p for p, part in parts.items() if "figures" in part[0]["sections"]} == {"hospital"}
    figures = parts["hospital"][0]["sections"]["figures"]
    assert list(figures) == ["train 4"]
    assert 0 < figures["train 4"]["loss"] < 0.72


def test_receipts_and_disclosures_say_what_was_opened(trained: Any) -> None:
    run, _, _ = trained
    by_node = {node.name: node for node in run.nodes}
    receipts = {each.protection: each.parameters for each in by_node["train"].receipts if each.party == "hospital"}
    assert receipts["weights_masked"] == {"mean": 1.0}
    assert receipts["stays_shares"] == {"opened_to": ["insurer"], "metrics_to": "everybody"}
    assert receipts["minimum_rows"] == {"people": 32, "per_class": 8}
    assert receipts["figure_noise"] == {"epsilon": 3.0, "evaluations": 1, "lifetime_epsilon": 20.0}
    assert "clip" not in receipts
    assert "clip" in {each.protection for each in by_node["net"].receipts}


def train_by_hand(ctx: Any, case: str) -> str:
    """`SecretTrain` on a table whose shares every party makes from the same public numbers; what it says."""
    from secretflow.component.core import Output

    from veilflow.components.devices.pyu import run_on
    from veilflow.components.devices.secret_layout import ring
    from veilflow.components.devices.secret_table import SecretColumn, SpuFacts, write_secret_table
    from veilflow.components.errors import ComponentError
    from veilflow.components.vertical.secret_train.component import SecretTrain

    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 2)) * {"overflow": 300, "far": 8, "exact": 8, "noised far": 8}.get(case, 1)
    told = x[:, 0] > 0 if "far" in case or case == "exact" else rng.random(200) < 0.5
    told = np.arange(200) < 5 if case == "one class" else told
    drawn = ring(np.column_stack([x, told, np.zeros(200)] if case == "nobody" else [x, told]))
    certain = 0 if case == "nobody" else 200
    spu, table = SpuFacts.of(ctx.make_spu()), Output(uri=f"by_hand/{case}")
    shares = [drawn, 0 * drawn, 0 * drawn]
    parts = {
        party: run_on(party, lambda r: np.stack([shares[r], shares[(r + 1) % 3]], axis=-1), rank)
        for rank, party in enumerate(spu.parties)
    }
    kinds = ["feature", "label" if case == "labels" else "feature", "label"]
    kinds += ["mask"] if case == "nobody" else []
    columns = [SecretColumn(f"c{i}", "hospital", kind) for i, kind in enumerate(kinds)]
    write_secret_table(
        ctx, table, parts, columns, 200, spu, anonymous=case in ("noised", "noised far", "nobody"), certain=certain
    )
    step = SecretTrain()
    step.layers, step.activation, step.module, step.arguments = [], "relu", "", "{}"
    step.epochs, step.batch_size, step.optimiser, step.clip = 2, 50, "sgd", 1.0
    step.learning_rate = 90.0 if case == "overflow" else 9.0 if "far" in case or case == "exact" else 0.5
    step.sigmoid = "exact" if case == "exact" else "auto"
    step.test_fraction = 0.1 if case == "few" else 0.0
    step.metrics_to = "insurer" if case in ("far", "overflow", "noised far") else ""
    step.evaluate_every, step.open_to = 1, ["nobody"]
    step.epsilon, step.lifetime_epsilon = 2.0, 0.0
    if case != "stranger":
        step.open_to = []
    step.table, step.model, step.report = table.data, Output(uri=f"by_hand/{case}.m"), Output(uri=f"by_hand/{case}.r")
    try:
        step.evaluate(ctx)
    except ComponentError as problem:
        return str(problem)
    return "trained"


@pytest.mark.parametrize(
    "case, message",
    [
        ("good", "trained"),
        ("labels", "needs one label column in the secret table; it has 2 (c1, c2)"),
        ("overflow", "numbers have left the fixed point. Scale the features"),
        ("far", "of the rows have logits beyond 56 after epoch 1, where the dealt sigmoid is wrong"),
        ("exact", "trained"),
        ("few", "test_fraction 0.1 holds out 20 row(s); a figure over less than 32 is not opened"),
        ("noised far", "of the rows have logits beyond 56 after epoch"),
        ("nobody", "compared inside the SPU, fewer than about 32 people are in common, perhaps nobody: no figure"),
        ("one class", "fewer than 8 people are of one class of the label"),
        ("stranger", "nobody takes no part"),
    ],
)
def test_it_stops_with_the_reason(veilflow_cluster: Any, case: str, message: str) -> None:
    assert message in veilflow_cluster.call(train_by_hand, case)["hospital"]


def opened_by_hand(ctx: Any, case: str) -> dict[str, Any]:
    """`train_by_hand`, with everything that is opened on the way, and what figures are worked out from."""
    from unittest import mock

    from veilflow.components.devices.secret import SecretMachine
    from veilflow.components.vertical.secret import histogram

    opened, counted = [], []
    plain_run, plain_figures = SecretMachine.run, histogram.Counted.figures

    def run(self: Any, program: Any, **given: Any) -> Any:
        if given.get("opens"):
            opened.append(program.name)
        return plain_run(self, program, **given)

    def figures(self: Any) -> Any:
        counted.append((self.classes.tolist(), self.cells.sum(axis=1).tolist()))
        return plain_figures(self)

    with mock.patch.object(SecretMachine, "run", run), mock.patch.object(histogram.Counted, "figures", figures):
        assert train_by_hand(ctx, case) == "trained"
    return {"opened": opened, "counted": counted}


def test_of_people_who_are_secret_nothing_but_verdicts_and_counts_with_noise_is_opened(veilflow_cluster: Any) -> None:
    found = veilflow_cluster.call(opened_by_hand, "noised")
    for party in PARTIES:
        verdict, classes, *cells = found[party]["opened"]
        assert verdict == "at least 0 people, 17 a class"  # all 200 are people for certain; 9 for the noise
        assert (classes, cells) == ("open classes", ["open cells"] * 2)
    # One party opens, and without noise it would see 200 people again and again.
    (counted,) = [found[party]["counted"] for party in PARTIES if found[party]["counted"]]
    assert len(counted) == 2
    seen = [sum(classes) for classes, _ in counted] + [sum(cells) for _, cells in counted]
    assert seen != [200, 200, 200, 200]


def charged_by_hand(ctx: Any) -> list[str]:
    """Who is charged for a training whose figures go to the insurer alone; it ends there."""
    from unittest import mock

    from veilflow.components.errors import ComponentError
    from veilflow.components.vertical.secret_train import component

    charged: list[str] = []

    def charge(_: Any, holders: Any, told: Any, *more: Any) -> list[str]:
        charged.extend(told)
        raise ComponentError("far enough")

    with mock.patch.object(component, "charge_figures", charge):
        assert train_by_hand(ctx, "noised far") == "far enough"
    return charged


def test_all_parties_are_charged_since_all_learn_verdicts(veilflow_cluster: Any) -> None:
    """Only who saw figures was: with `metrics_to` in turns each learned the verdicts of the others' for nothing."""
    found = veilflow_cluster.call(charged_by_hand)
    assert all(sorted(found[party]) == sorted(PARTIES) for party in PARTIES)


ANONYMOUS = """
version: 1
name: anonymous
parties: [hospital, insurer, coordinator]
nodes:
  mine: {{uses: data/read_table, with: {{party: hospital, path: "{folder}/hospital.csv", id: [person], label: sick}}}}
  yours:
    uses: data/read_table
    with: {{party: insurer, path: "{folder}/insurer.csv", id: [person], drop: [counts]}}
  align:
    uses: alignment/anonymous_psi
    needs: {{tables: [mine.table, yours.table]}}
    with: {{hide_count: full}}
  train:
    uses: vertical/secret_train
    needs: {{table: align.table}}
    with: {{epochs: 12, batch_size: 64}}
"""


def joined_model(out: Path) -> np.ndarray:
    """What only all three parties of the SPU together can see: the model behind their shares."""
    import json

    from veilflow.components.devices.objects import unpack
    from veilflow.components.devices.secret_shares import join
    from veilflow.components.training.parts import section

    parts = {}
    for party in ("hospital", "insurer", "coordinator"):
        document, arrays = section(unpack(stored(out, party, "train", "model").read_bytes()), "secret")
        parts[document["rank"]] = (document, arrays["share/model"].tobytes())
    runtime = json.dumps(parts[0][0]["runtime"], sort_keys=True)
    return np.asarray(join(runtime, [parts[rank][1] for rank in range(3)])["model"])


def test_training_goes_on_from_an_anonymous_alignment_with_a_hidden_count(
    veilflow_cluster: Any, tmp_path: Path
) -> None:
    rows = write_tables(tmp_path)
    common = rows[rows.counts == 1]
    for party in ("hospital", "insurer"):  # each holder has people of its own; the others are those that count
        table = pd.read_csv(tmp_path / f"{party}.csv")
        own = ~table.person.isin(common.person)
        table.loc[own, "person"] = party + table.person[own]
        table.sample(frac=1, random_state=1).to_csv(tmp_path / f"{party}.csv", index=False)
    run = veilflow_cluster.run(ANONYMOUS.format(folder=tmp_path), tmp_path)
    assert run.error is None, run.error
    flat = joined_model(tmp_path)
    plain = LogisticRegression(C=1e6).fit(common[FEATURES], common.sick)
    wanted = plain.decision_function(common[FEATURES])
    found = common[FEATURES].to_numpy() @ flat[:-1] + flat[-1]
    assert np.corrcoef(found, wanted)[0, 1] > 0.99
    assert roc_auc_score(common.sick, found) == pytest.approx(roc_auc_score(common.sick, wanted), abs=0.005)
    assert "weights_masked" in {each.protection for node in run.nodes for each in node.receipts}


def test_scores_of_an_anonymous_table_are_of_people_alone_so_that_evaluate_judges_people(
    veilflow_cluster: Any, tmp_path: Path
) -> None:
    """400 of 450 people are common, the table has 448 rows: 385 are scored, and whom they are scored for is common."""
    rng, people = np.random.default_rng(8), 450
    age, visits = rng.normal(size=people), rng.normal(size=people)
    sick = (age + visits + rng.normal(0, 0.7, people) > 0).astype(int)
    mine = [f"p{i}" for i in range(people)]
    yours = [f"p{i}" if i < 400 else f"q{i}" for i in range(people)]
    # Padding gives itself away by its values, which only this test can see.
    pd.DataFrame({"person": mine, "age": np.where(np.arange(people) < 400, age, -9), "sick": sick}).to_csv(
        tmp_path / "hospital.csv", index=False
    )
    pd.DataFrame({"person": yours, "visits": visits}).to_csv(tmp_path / "insurer.csv", index=False)
    head, train = ANONYMOUS.format(folder=tmp_path).split("  align:")
    text = f"{head}  align:{train}".replace("hide_count: full", "hide_count: rounded").replace(", drop: [counts]", "")
    text += """
  score: {uses: vertical/secret_predict, needs: {model: train.model, data: align.table}, with: {with_label: true}}
  judge: {uses: application/evaluate, needs: {scores: score.scores}}
"""
    run = veilflow_cluster.run(text, tmp_path)
    assert run.error is None, run.error
    scores = veilflow_cluster.frame(run, tmp_path, "score.scores", "hospital")
    assert len(scores) == 385
    flat = joined_model(tmp_path)
    logits = np.log(scores.score / (1 - scores.score))
    assert logits.min() > (-9 * flat[0] + flat[1] * visits.min() + flat[2]) / 2  # no row of somebody unmatched
    common = roc_auc_score(sick[:400], age[:400] * flat[0] + visits[:400] * flat[1])
    assert run.metrics["judge.auc"] == pytest.approx(common, abs=0.02)


def charge_by_hand(ctx: Any, folder: str) -> list[str]:
    """What happens to four trainings, one after the other, that cost 2 each, with 5 as the limit for all time."""
    from fractions import Fraction

    from veilflow.components.devices.figure_account import charge_figures
    from veilflow.components.errors import ComponentError

    ctx.data_root = Path(folder) / ctx.self_party
    found = []
    for told in (["insurer"], ["insurer", "coordinator"], ["coordinator"], ["insurer"]):
        try:
            charge_figures(ctx, ["hospital"], told, Fraction(2), Fraction(5), strict=True)
        except ComponentError as passed:
            found.append(str(passed))
        else:
            found.append("")
    found += charge_figures(ctx, ["hospital"], ["insurer"], Fraction(2), Fraction(5), strict=False)
    return found


def test_figures_of_trainings_repeated_for_ever_have_one_limit_for_each_who_learns_them(
    veilflow_cluster: Any, tmp_path: Path
) -> None:
    found = veilflow_cluster.call(charge_by_hand, str(tmp_path))
    for party in PARTIES:
        *enforced, last, only_told = found[party]
        assert enforced == ["", "", ""]
        assert "noised figures that insurer was told have cost epsilon 4 in all; 2 more would exceed 5" in last
        assert "noised figures that insurer was told" in only_told
