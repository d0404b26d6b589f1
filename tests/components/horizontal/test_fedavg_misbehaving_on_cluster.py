"""A client that cheats, or whose training goes astray, at real parties: what it can do, and what the report says."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.cluster

_SPEC = importlib.util.spec_from_file_location("federation", Path(__file__).with_name("federation.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
federation = importlib.util.module_from_spec(_SPEC)  # parties load this file by its path: it has no package there
_SPEC.loader.exec_module(federation)
Federation, plain, rows_of = federation.Federation, federation.plain, federation.rows_of
CLIENTS, ROWS = federation.CLIENTS, federation.ROWS


def one_shouts(ctx: Any) -> dict[str, Any]:
    """Bank c sends the longest update that the bound allows, against the right way: to a mean, and to a median."""
    from veilflow.components.horizontal.fedavg.settings import ModelSpec
    from veilflow.components.horizontal.fedavg_train import training
    from veilflow.components.privacy.secagg.settings import SumSettings

    honest, found = training.learn, {}

    def learn(client: Any, vector: Any, *rest: Any) -> Any:
        done, update, said = honest(client, vector, *rest)
        return done, -1e6 * update if ctx.self_party == "bank_c" else update, said

    try:
        training.learn = learn  # type: ignore[assignment]
        for combine in ("mean", "median"):
            settings = plain(4, secure_sum=SumSettings("spu", combine=combine))
            one = Federation(ctx, settings, ModelSpec("logistic", ()), "coordinator")
            found[combine] = one.column(one.run(), "valid_loss")
            one.training.secure_sum.receipts()
    finally:
        training.learn = honest
    return {"loss": found, "receipts": [each["parameters"] for each in ctx.receipts]}


def test_a_median_is_not_moved_by_one_client_that_shouts(banks: Any) -> None:
    found = banks.call(one_shouts)["coordinator"]
    assert found["loss"]["mean"][-1] > 1, "unprotected, one client ruins the model"
    assert found["loss"]["median"] == sorted(found["loss"]["median"], reverse=True)
    # Where one of three lies about every entry, the median is the lesser or the larger of the honest two.
    assert found["loss"]["median"][-1] < found["loss"]["mean"][-1] / 2
    assert [each["combine"] for each in found["receipts"]] == ["mean", "median"]


def lying_about_size(ctx: Any) -> dict[str, Any]:
    """Bank c says it has a million rows."""
    from veilflow.components.devices.pyu import run_on
    from veilflow.components.horizontal.fedavg import weights
    from veilflow.components.horizontal.fedavg.settings import Weighting
    from veilflow.components.horizontal.fedavg_train import sources

    if ctx.self_party == "bank_c":
        real = len
        sources.len = lambda found: 10**6 if isinstance(found, np.ndarray) else real(found)  # type: ignore[attr-defined]
    try:
        told = sources.row_counts({party: run_on(party, rows_of, 1) for party in CLIENTS})
    finally:
        vars(sources).pop("len", None)
    return {"told": told, "weights": weights.starting(told, "size", Weighting("size", largest=0.5))}


def test_a_client_that_lies_about_its_size_gets_the_largest_weight_and_no_more(banks: Any) -> None:
    found = banks.call(lying_about_size)["coordinator"]
    assert found["told"]["bank_c"] == 10**6
    assert found["weights"]["bank_c"] == pytest.approx(0.5)
    assert found["weights"]["bank_a"] == found["weights"]["bank_b"] == pytest.approx(0.25)


def everybody_astray(ctx: Any) -> str:
    from veilflow.components.errors import ComponentError
    from veilflow.components.horizontal.fedavg.settings import LocalSettings, ModelSpec

    wild = plain(2, local=LocalSettings(batch=30, rate=float("inf")))
    try:
        Federation(ctx, wild, ModelSpec("logistic", ())).run()
    except ComponentError as error:
        return str(error)
    return ""


def test_a_round_without_enough_sound_clients_stops_the_run_and_names_them(banks: Any) -> None:
    said = banks.call(everybody_astray)
    assert set(said.values()) == {said["bank_a"]}
    assert "the training of bank_a, bank_b, bank_c went astray" in said["bank_a"]
    assert "0 client(s) are left of 2" in said["bank_a"]
    assert "Lower learning_rate" in said["bank_a"]


# In what follows a client that cheats, or whose training goes astray, in a pipeline: what the report says of it.

PIPELINE = """
version: 1
name: misbehaving
parties: [bank_a, bank_b, bank_c, coordinator]
devices:
  spu: {{kind: spu, parties: [bank_a, bank_b, bank_c], protocol: ABY3}}
nodes:
  one: {{uses: data/read_table, with: {{party: bank_a, path: "{folder}/bank_a.csv", id: [person], label: late}}}}
  two: {{uses: data/read_table, with: {{party: bank_b, path: "{folder}/bank_b.csv", id: [person], label: late}}}}
  three: {{uses: data/read_table, with: {{party: bank_c, path: "{folder}/bank_c.csv", id: [person], label: late}}}}
  narrow: {{uses: data/read_table, with: {{party: bank_a, path: "{folder}/narrow.csv", id: [person], label: late}}}}
  agreed:
    uses: data/read_table
    with: {{party: coordinator, path: "{folder}/agreed.csv", id: [person], label: late}}
"""
STEP = """
  {name}:
    uses: horizontal/fedavg_train
    needs: {{tables: [{first}.table, two.table, three.table], valid: agreed.table}}
    with:
      net: {{kind: logistic}}
      rounds: {rounds}
      batch_size: 40
      privacy: {privacy}
      {extra}
"""
HOW = {3: "flipped", 4: "not finite", 5: "zeros", 6: "copied", 7: "flipped", 8: "flipped", 10: "not finite"}
"""What bank c does, by the number of rounds."""


def write_tables(folder: Path) -> None:
    import pandas as pd

    for seed, party in enumerate([*CLIENTS, "agreed", "narrow"]):
        x, y = rows_of(seed)
        frame = pd.DataFrame(x, columns=list("wxyz"))
        if party == "bank_b":
            frame = frame[list("zyxw")]  # the same columns in another order
        if party == "narrow":
            y[:] = 0  # one class only: no loan was late here
        frame.insert(0, "person", [f"{party}{row}" for row in range(ROWS)])
        frame["late"] = y.astype(int)
        frame.to_csv(folder / f"{party}.csv", index=False)


def misbehave(ctx: Any) -> bool:
    """Bank c's part of a round, spoilt; with ``copied`` it sends what a peer, who colludes, has sent."""
    from veilflow.components.horizontal.fedavg_train import training

    honest = training.learn

    def learn(client: Any, vector: Any, *rest: Any) -> Any:
        done, update, said = honest(client, vector, *rest)
        how = HOW.get(client.settings.rounds, "")
        if how == "copied":
            shared = np.linspace(-1.0, 1.0, vector.size).astype(np.float32)
            return done, shared, said
        if ctx.self_party != "bank_c" or update is None:
            return done, update, said
        if how == "not finite":
            wild = replace(client.settings.local, rate=float("inf"))
            spoilt = replace(client, settings=replace(client.settings, local=wild))
            return honest(spoilt, vector, *rest)
        changed = {"flipped": -4 * update, "zeros": 0 * update}.get(how, update)
        return done, changed, said

    training.learn = learn  # type: ignore[assignment]
    return True


def behave(ctx: Any) -> bool:
    from veilflow.components.horizontal.fedavg.client import learn
    from veilflow.components.horizontal.fedavg_train import training

    training.learn = learn
    return True


@pytest.fixture(scope="module")
def misbehaved(banks: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("misbehaved")
    write_tables(out)
    steps = {
        "cosine": (3, "{unit: none}", "guard: {least_cosine: 0.0}"),
        "astray": (4, "{unit: none}", "server: {learning_rate: 0.5}"),
        "empty": (5, "{unit: none}", "guard: {least_cosine: -0.99}"),
        "copies": (6, "{unit: none}", "weights: {by: contribution}"),
        "veto": (7, "{unit: none}", "guard: {veto: 0.000001}\n      weights: {by: contribution}"),
        "unseen": (8, "{unit: none}", "guard: {veto: 0.000001}"),
        "astray_noised": (10, "{unit: record, noise: 1.0, epsilon: 40, delta: 0.001}", "weights: {by: equal}"),
        "one_class": (9, "{unit: record, noise: 1.0, epsilon: 40, delta: 0.001}", "weights: {by: equal}"),
    }
    text = PIPELINE.format(folder=out)
    for name, (rounds, privacy, extra) in steps.items():
        first = "narrow" if name == "one_class" else "one"
        text += STEP.format(name=name, rounds=rounds, privacy=privacy, extra=extra, first=first)
    banks.call(misbehave)
    try:
        run = banks.run(text, out)
    finally:
        banks.call(behave)
    assert run.error is None, run.error.message
    return run


def tab(run: Any, step: str, name: str) -> dict[str, list[Any]]:
    found = next(each for each in next(n for n in run.nodes if n.name == step).report if each.name == name)
    return {column.name: [row[i] for row in found.rows] for i, column in enumerate(found.columns)}


def incidents(run: Any, step: str) -> list[tuple[int, str, str]]:
    if not any(each.name == "incidents" for each in next(n for n in run.nodes if n.name == step).report):
        return []
    found = tab(run, step, "incidents")
    return list(zip(found["round"], found["client"], found["why"], strict=True))


def test_a_flipped_update_is_left_out_of_its_round_and_its_client_named(misbehaved: Any) -> None:
    blamed = incidents(misbehaved, "cosine")
    assert {(1, "bank_c", "against the direction of the reference rows")} <= set(blamed)
    assert all(who == "bank_c" for _, who, _ in blamed)
    assert tab(misbehaved, "cosine", "history")["clients"][0] == 2


def test_a_client_whose_training_goes_astray_stays_out_and_is_named(misbehaved: Any) -> None:
    why = "an update that is not finite: left out of the round"
    assert incidents(misbehaved, "astray") == [(number, "bank_c", why) for number in range(1, 5)]
    history = tab(misbehaved, "astray", "history")
    assert history["clients"] == [2] * 4
    assert history["valid_loss"][-1] < history["valid_loss"][0]


def test_under_privacy_its_update_is_noise_and_nobody_is_told(misbehaved: Any) -> None:
    assert incidents(misbehaved, "astray_noised") == []
    assert tab(misbehaved, "astray_noised", "history")["valid_auc"][-1] > 0.6


def test_an_update_of_zeros_is_left_out_and_named(misbehaved: Any) -> None:
    blamed = incidents(misbehaved, "empty")
    assert blamed, "from the round on in which the grid is fine enough to tell"
    assert {(who, why) for _, who, why in blamed} == {("bank_c", "all zeros")}


def test_those_who_send_the_same_update_share_one_clients_score(misbehaved: Any) -> None:
    assert incidents(misbehaved, "copies") == []
    scores = tab(misbehaved, "copies", "contribution")
    for number in range(6):
        each = [scores[f"score {party}"][number] for party in CLIENTS]
        assert each[0] == pytest.approx(each[1]) == pytest.approx(each[2])
        alone = scores["weight bank_a"][number]
        assert alone == pytest.approx(1 / 3, abs=1e-4)


def test_a_round_that_raises_the_loss_is_taken_back_and_the_client_named_where_updates_are_seen(
    misbehaved: Any,
) -> None:
    why = "the loss rose: round taken back"
    blamed = incidents(misbehaved, "veto")
    assert blamed
    assert {(who, said) for _, who, said in blamed} == {("bank_c", why)}
    assert blamed[0][0] == 1, "the first round counts against the model that all began with"
    history = tab(misbehaved, "veto", "history")["valid_loss"]
    for number, _, _ in blamed:
        if number > 1:
            assert history[number - 1] == pytest.approx(history[number - 2]), "the model is the one before"
    unseen = incidents(misbehaved, "unseen")
    assert {who for _, who, _ in unseen} == {"unknown (no single update is seen)"}


def test_a_client_with_one_class_only_takes_part_like_any_other(misbehaved: Any) -> None:
    history = tab(misbehaved, "one_class", "history")
    assert "clients" not in history, "all three, in every round"
    assert history["valid_auc"][-1] > 0.7
    assert incidents(misbehaved, "one_class") == []


def test_the_report_says_what_the_budget_means(misbehaved: Any) -> None:
    report = next(node for node in misbehaved.nodes if node.name == "one_class").report
    said = next(each for each in report if each.name == "budget").values
    assert said["unit"] == "record"
    assert said["neighbours"] == "one record (row) is added or removed"
    assert said["delta"] == 0.001
    assert 0 < said["round maximum"] <= said["epsilon"] <= said["epsilon asked"] == 40
    assert 0 < said["round maximum"] < said["epsilon"] / 2, "one of nine"
    assert said["round of maximum"] == "round 1"
    assert said["rounds"] == 19, "ten were paid by the step before, of the same people"
    assert said["noise multiplier"] == 1.0
    assert {f"epsilon {party}" for party in CLIENTS} <= set(said)
    for words in ("row counts", "choice of settings", "several clients"):
        assert words in said["not covered"]
