"""Every setting of federated averaging at real parties: three banks, a coordinator, an SPU; rows made in memory."""

import sys
import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.cluster

CLIENTS = ("bank_a", "bank_b", "bank_c")
PARTIES = [*CLIENTS, "coordinator"]
ROWS, WIDTH = 120, 4


@pytest.fixture(scope="module")
def banks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from veilflow.pipelines.launch.simulation import Simulation
    from veilflow.pipelines.party.setup import SpuDevice
    from veilflow.pipelines.pytest_plugin import Cluster

    folder = tmp_path_factory.mktemp("banks")
    with Simulation(folder, PARTIES, {"spu": SpuDevice(list(CLIENTS))}) as simulation:
        yield Cluster(simulation)


def rows_of(seed: int, shape: tuple[int, ...] = (WIDTH,)) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(seed).normal(size=(ROWS, *shape)).astype(np.float32)
    return x, (x.reshape(ROWS, -1).mean(axis=1) > 0).astype(np.float32)


class Federation:
    """A training at the parties without a pipeline around it, and what it did."""

    def __init__(self, ctx: Any, settings: Any, spec: Any, judge: str = "", shape: tuple[int, ...] = (WIDTH,)) -> None:
        from veilflow.components.devices.pyu import run_on
        from veilflow.components.horizontal.fedavg.budget import multipliers
        from veilflow.components.horizontal.fedavg.codec import value_bound
        from veilflow.components.horizontal.fedavg_train.standing import Cast
        from veilflow.components.horizontal.fedavg_train.training import FedAvgTraining
        from veilflow.components.privacy.secagg.secure_sum import SecureSum

        rows = dict.fromkeys(CLIENTS, ROWS)
        data = {party: run_on(party, rows_of, seed, shape) for seed, party in enumerate(CLIENTS)}
        reference = run_on(judge, rows_of, 77, shape) if judge else None
        noises = multipliers(settings, rows)
        self.summed: list[dict[str, float]] = []
        """Per round each client's weight, over the largest one."""

        def make_sum(size: int) -> SecureSum:
            bound = value_bound(settings, len(CLIENTS))
            return SecureSum(ctx, settings.secure_sum, CLIENTS, "coordinator", bound)

        cast = Cast(CLIENTS, "coordinator", judge, data, reference, rows, shape)
        self.training = FedAvgTraining(cast, spec, settings, noises, make_sum, None)
        self.training.distribute()
        add = self.training._aggregate

        def noted(number: int, vectors: Any, shares: Any) -> float:
            self.summed.append({party: share.factor for party, share in shares.items()})
            return add(number, vectors, shares)

        self.training._aggregate = noted  # type: ignore[method-assign]
        self.rounds = settings.rounds

    def run(self) -> list[dict[str, float]]:
        return [self.training.round(number) for number in range(self.rounds)]

    def models(self) -> dict[str, dict[str, float]]:
        """Party -> parameter -> its norm."""
        from veilflow.components.devices.pyu import publish, run_on

        def norms(part: Any) -> dict[str, float]:
            return {name: round(float(np.linalg.norm(each)), 6) for name, each in part[1].items()}

        found: dict[str, dict[str, float]] = publish(
            {party: run_on(party, norms, part) for party, part in self.training.model_sections().items()}
        )
        return found

    def column(self, figures: list[dict[str, float]], name: str) -> list[float]:
        return [each[name] for each in figures]


def plain(rounds: int, **changes: Any) -> Any:
    from veilflow.components.horizontal.fedavg.settings import LocalSettings, Privacy, Settings
    from veilflow.components.privacy.secagg.settings import SumSettings

    first = Settings(rounds, LocalSettings(batch=30, rate=0.3), Privacy("none"), secure_sum=SumSettings("plain"))
    return replace(first, **changes)


def same_everywhere(models: dict[str, dict[str, float]]) -> bool:
    return all(model == models["coordinator"] for model in models.values())


def servers_and_sums(ctx: Any) -> dict[str, Any]:
    """FedAdam, FedYogi, the SPU's sum, partial participation, a slow client."""
    from veilflow.components.horizontal.fedavg.settings import ModelSpec, Server
    from veilflow.components.privacy.secagg.settings import SumSettings

    spec, found = ModelSpec("logistic", ()), {}
    cases = {
        "fedavg": plain(4),
        "fedadam": plain(4, server=Server("fedadam", 0.1)),
        "fedyogi": plain(4, server=Server("fedyogi", 0.1)),
        "spu": plain(4, secure_sum=SumSettings("spu")),
        "partial": plain(8, participation=0.5),
        "slow": plain(6, slow=(("bank_c", 3),)),
    }
    for name, settings in cases.items():
        one = Federation(ctx, settings, spec, "coordinator")
        figures = one.run()
        loss, clients = (one.column(figures, each) for each in ("valid_loss", "clients"))
        found[name] = {"loss": loss, "clients": clients, "same": same_everywhere(one.models()), "sums": one.summed}
    return found


@pytest.fixture(scope="module")
def ran(banks: Any) -> dict[str, Any]:
    return banks.call(servers_and_sums)["coordinator"]


@pytest.mark.parametrize("name", ["fedavg", "fedadam", "fedyogi", "spu", "partial", "slow"])
def test_it_learns_and_everybody_holds_the_same_model(ran: Any, name: str) -> None:
    assert ran[name]["loss"][-1] < ran[name]["loss"][0]
    assert ran[name]["same"]


def test_the_servers_optimisers_are_three(ran: Any) -> None:
    assert len({round(ran[name]["loss"][-1], 6) for name in ("fedavg", "fedadam", "fedyogi")}) == 3


def test_half_of_the_clients_take_part_in_a_round_and_not_always_the_same(ran: Any) -> None:
    assert ran["partial"]["clients"] == [2.0] * 8
    assert len({tuple(sorted(each)) for each in ran["partial"]["sums"]}) > 1


def test_nobody_waits_for_a_slow_client_and_what_is_late_counts_less(ran: Any) -> None:
    assert ran["slow"]["clients"] == [2.0, 2.0, 3.0] * 2
    late = [each for each in ran["slow"]["sums"] if "bank_c" in each]
    for weights in late:
        assert weights["bank_c"] / weights["bank_a"] == pytest.approx(3**-0.5, abs=0.02), "two rounds old"


def one_is_late(ctx: Any) -> dict[str, Any]:
    """Bank c works on one local training until the others have gone on for three rounds."""
    import threading

    from veilflow.components.horizontal.fedavg.settings import ModelSpec
    from veilflow.components.horizontal.fedavg_train import training

    honest, go = training.learn, threading.Event()

    def learn(*given: Any) -> Any:
        if ctx.self_party == "bank_c":
            assert go.wait(60)
        return honest(*given)

    try:
        training.learn = learn  # type: ignore[assignment]
        one = Federation(ctx, plain(100, wait=0.1, max_staleness=100), ModelSpec("logistic", ()), "coordinator")
        clients = [one.training.round(number)["clients"] for number in range(3)]
        go.set()
        while clients[-1] < 3 and len(clients) < 100:
            clients.append(one.training.round(len(clients))["clients"])
    finally:
        training.learn = honest
    return {"clients": clients, "weights": one.summed[-1], "same": same_everywhere(one.models())}


def test_a_round_goes_on_without_a_client_that_has_not_finished_and_takes_its_update_later(banks: Any) -> None:
    found = banks.call(one_is_late)["coordinator"]
    assert found["clients"][:3] == [2.0] * 3, "nobody waited"
    assert found["clients"][-1] == 3.0, "what was late came in"
    late = len(found["clients"]) - 1
    assert found["weights"]["bank_c"] / found["weights"]["bank_a"] == pytest.approx((1 + late) ** -0.5, abs=0.02)
    assert found["same"]


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


def noise_of_the_rounds(ctx: Any) -> dict[str, Any]:
    """Unit client: the rounds' sums are nearly pure noise, so its length shows."""
    from veilflow.components.horizontal.fedavg.settings import Guard, LocalSettings, ModelSpec, Privacy

    found = {}
    for schedule in ("increasing", "decreasing"):
        privacy = Privacy("client", noise=1.0, noise_last=4.0, epsilon=100.0, schedule=schedule)
        still = plain(3, privacy=privacy, local=LocalSettings(rate=1e-4), guard=Guard(update_norm=1.0))
        one = Federation(ctx, still, ModelSpec("mlp", (40,)))
        found[schedule] = one.column(one.run(), "update_norm")
        found["noised"] = one.training.noised
    found["size"] = one.training.parameters
    return found


def test_client_level_noise_follows_its_schedule(banks: Any) -> None:
    everywhere = banks.call(noise_of_the_rounds)
    found = everywhere["bank_a"]
    # A mean of three clients, each with noise of z times the bound of 1 in every coordinate.
    unit = (found["size"] / 3) ** 0.5
    up, down = ([length / unit for length in found[each]] for each in ("increasing", "decreasing"))
    assert up[0] == pytest.approx(1.0, rel=0.25)
    assert up[2] == pytest.approx(4.0, rel=0.25)
    assert up == sorted(up)
    assert down == pytest.approx(up[::-1], rel=0.35)
    assert [everywhere[party]["noised"] for party in PARTIES] == [3, 3, 3, 0], "each client, in each round"


def kinds_of_models(ctx: Any) -> dict[str, Any]:
    """FedBN and layers that stay local, a user's own module, a CNN on images."""
    import flax.linen as nn

    from veilflow.components.horizontal.fedavg.settings import ModelSpec

    class Tiny(nn.Module):
        units: int

        @nn.compact
        def __call__(self, x: Any) -> Any:
            return nn.Dense(1)(nn.tanh(nn.Dense(self.units)(x)))

    sys.modules["bank_models"] = types.ModuleType("bank_models")
    sys.modules["bank_models"].Tiny = Tiny  # type: ignore[attr-defined]
    cases = {
        "local": (ModelSpec("mlp", (6,), norm="batch", keep_local=("Dense_1",)), (WIDTH,), "bank_a"),
        "module": (ModelSpec("module", (), path="bank_models:Tiny", arguments='{"units": 5}'), (WIDTH,), "coordinator"),
        "cnn": (ModelSpec("cnn", (4,)), (6, 6), "coordinator"),
    }
    found = {}
    for name, (spec, shape, judge) in cases.items():
        one = Federation(ctx, plain(4), spec, judge, shape)
        loss = one.column(one.run(), "train_loss")
        found[name] = {"loss": loss, "models": one.models(), "travels": one.training.parameters}
    return found


def test_other_models_learn_and_what_shall_stay_at_a_bank_stays(banks: Any) -> None:
    found = banks.call(kinds_of_models)["bank_b"]
    for name in ("local", "module", "cnn"):
        assert found[name]["loss"][-1] < found[name]["loss"][0], name
    assert same_everywhere(found["module"]["models"])
    assert same_everywhere(found["cnn"]["models"])
    assert found["module"]["travels"] == 4 * 5 + 5 + 5 + 1
    own = [found["local"]["models"][party] for party in CLIENTS]
    assert found["local"]["travels"] == 4 * 6 + 6, "neither the last layer nor batch normalisation"
    for name in own[0]:
        apart = len({model[name] for model in own})
        assert apart == (1 if name.startswith("params/Dense_0") else 3), name


def stopping(ctx: Any) -> dict[str, Any]:
    """Reference rows with turned labels: every round makes it worse there."""
    from veilflow.components.devices.pyu import run_on
    from veilflow.components.horizontal.fedavg.settings import ModelSpec
    from veilflow.components.training.loop import Course, train

    one = Federation(ctx, plain(10, patience=2), ModelSpec("logistic", ()), "coordinator")
    turned = run_on("coordinator", lambda: (rows_of(77)[0], 1 - rows_of(77)[1]))
    one.training._judge = one.training._start(ModelSpec("logistic", ()), "coordinator", turned)
    kept: list[Any] = []
    course = Course(10, 2, 0, "coordinator", "round", "")
    history, _ = train(one.training, one.training.round, course, None, lambda *_: kept.append(one.models()))
    return {"rounds": len(history.rows), "loss": history.columns()["valid_loss"], "then": kept, "end": one.models()}


def all_wait(ctx: Any) -> list[float]:
    from veilflow.components.horizontal.fedavg.settings import ModelSpec

    waiting = plain(4, slow=(("bank_b", 2), ("bank_c", 2)))
    return [each["train_loss"] for each in Federation(ctx, waiting, ModelSpec("logistic", ())).run()]


def test_a_round_in_which_too_few_are_ready_has_figures_all_the_same(banks: Any) -> None:
    found = banks.call(all_wait)["bank_a"]
    assert [loss > 0 for loss in found] == [False, True, False, True]


def test_early_stopping_keeps_the_best_rounds_model(banks: Any) -> None:
    found = banks.call(stopping)["bank_c"]
    assert found["rounds"] == 3, "two rounds without a better one"
    assert found["loss"] == sorted(found["loss"])
    assert found["end"] == found["then"][0]


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
    run = banks.run(text, out)
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


def test_under_privacy_it_counts_as_zeros_and_is_named_in_the_end(misbehaved: Any) -> None:
    why = "an update that is not finite: counted as zeros"
    assert incidents(misbehaved, "astray_noised") == [(number, "bank_c", why) for number in range(1, 11)]
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
