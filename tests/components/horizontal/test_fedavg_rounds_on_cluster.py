"""Who is in a round at real parties: all, some, slow ones, late ones; and when rounds end."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.cluster

_SPEC = importlib.util.spec_from_file_location("federation", Path(__file__).with_name("federation.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
federation = importlib.util.module_from_spec(_SPEC)  # parties load this file by its path: it has no package there
_SPEC.loader.exec_module(federation)
Federation, plain, rows_of = federation.Federation, federation.plain, federation.rows_of
same_everywhere = federation.same_everywhere


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


def test_early_stopping_keeps_the_best_rounds_model(banks: Any) -> None:
    found = banks.call(stopping)["bank_c"]
    assert found["rounds"] == 3, "two rounds without a better one"
    assert found["loss"] == sorted(found["loss"])
    assert found["end"] == found["then"][0]
