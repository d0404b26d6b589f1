"""The parties' side of `bench fedavg`: called by name at every party, in the same order, in a living simulation."""

import secrets
import time
from typing import Any

import numpy as np

from veilflow.components.devices.pyu import publish, run_on, send_to
from veilflow.components.horizontal.fedavg.client import common, follow, learn, make_client
from veilflow.components.horizontal.fedavg.codec import value_bound
from veilflow.components.horizontal.fedavg.settings import (
    Compress,
    Guard,
    LocalSettings,
    ModelSpec,
    Privacy,
    Settings,
    Weighting,
)
from veilflow.components.horizontal.fedavg_train.standing import Cast
from veilflow.components.horizontal.fedavg_train.training import FedAvgTraining
from veilflow.components.privacy.secagg.secure_sum import SecureSum
from veilflow.components.privacy.secagg.settings import SumSettings
from veilflow.components.training.tally import Tally
from veilflow.pipelines.party.traffic import TrafficMeter

CLIENTS, COORDINATOR = ("hospital", "insurer"), "coordinator"
SPEC = ModelSpec("mlp", (64, 32))
FEATURES = 28


def settings(unit: str, backend: str, bits: int, keep: float, contribution: bool, batch: int) -> Settings:
    """One way to run a round; noise 1 is in the range that budgets of a few units need."""
    return Settings(
        100,
        LocalSettings(batch=batch, rate=0.1),
        Privacy(unit, noise=1.0 if unit != "none" else 0.0),
        Weighting("contribution" if contribution else "equal"),
        guard=Guard(bits=bits),
        compress=Compress(keep, "rows"),
        secure_sum=SumSettings(backend),
    )


def rounds(
    ctx: Any, unit: str, backend: str, bits: int, keep: float, contribution: bool, rows: int, batch: int, count: int
) -> dict[str, float]:
    """Seconds, processor seconds and bytes per round at this party, after two rounds that compile everything."""
    chosen = settings(unit, backend, bits, keep, contribution, batch)
    noises = [1.0] * 100 if unit != "none" else []
    data = {party: run_on(party, _rows, rows // len(CLIENTS)) for party in CLIENTS}
    judge = COORDINATOR if contribution else ""
    reference = run_on(COORDINATOR, _rows, 1000) if contribution else None
    sizes = dict.fromkeys(CLIENTS, rows // len(CLIENTS))
    cast = Cast(CLIENTS, COORDINATOR, judge, data, reference, sizes, (FEATURES,))

    def make_sum(size: int) -> SecureSum:
        del size
        return SecureSum(ctx, chosen.secure_sum, CLIENTS, COORDINATOR, value_bound(chosen, len(CLIENTS)))

    training = FedAvgTraining(cast, SPEC, chosen, noises, make_sum, None)
    training.distribute()
    return _measured(lambda number: training.round(number), count, training.parameters)


def bare(ctx: Any, rows: int, batch: int, count: int) -> dict[str, float]:
    """Plain FedAvg: dense float32 updates and models over the same link, no rounding, no protection."""
    del ctx
    chosen = settings("none", "plain", 0, 1.0, False, batch)
    data = {party: run_on(party, _rows, rows // len(CLIENTS)) for party in CLIENTS}
    states = {party: [run_on(party, _client, chosen, data[party])] for party in CLIENTS}
    model = [run_on(COORDINATOR, lambda: common(_client(chosen, None)))]

    def one(number: int) -> None:
        del number
        updates = []
        for party, held in states.items():
            vector = send_to(party, model[0])
            held[0], update = run_on(party, _learn, held[0], vector, returns=2)
            updates.append(send_to(COORDINATOR, update))
        model[0] = run_on(COORDINATOR, lambda m, *u: (m + np.mean(u, axis=0)).astype(np.float32), model[0], *updates)
        publish(run_on(COORDINATOR, len, model[0]))

    return _measured(one, count, 0)


def _measured(one: Any, count: int, parameters: int) -> dict[str, float]:
    for number in range(2):
        one(number)
    meter = TrafficMeter()
    idle = _heartbeats(meter)
    before, begun, busy, times = _sent(meter), time.monotonic(), time.process_time(), list[float]()
    for number in range(2, 2 + count):
        started = time.monotonic()
        one(number)
        times.append(time.monotonic() - started)
    busy = (time.process_time() - busy) / count
    sent = (_sent(meter) - before - idle * (time.monotonic() - begun)) / count
    meter.close()
    found = {"seconds": float(np.median(times)), "processor": busy, "bytes": float(sent)}
    return {**found, "parameters": float(parameters)}


def _sent(meter: TrafficMeter) -> int:
    """Bytes so far: nobody waits for the end of a round, so its last messages may be on their way still."""
    publish([])  # sends nothing, and returns when the queue is empty
    time.sleep(0.3)
    return meter.total()


def _heartbeats(meter: TrafficMeter, seconds: float = 2.0) -> float:
    """Bytes a second that this party sends while it does nothing: they are no round's, and a slow machine has more."""
    before = _sent(meter)
    started = time.monotonic()
    time.sleep(seconds)
    return (meter.total() - before) / (time.monotonic() - started)


def _learn(client: Any, vector: np.ndarray) -> tuple[Any, np.ndarray]:
    done, update, _ = learn(client, vector, 0.0, Tally())
    assert update is not None
    return done, update


def _client(chosen: Settings, data: Any) -> Any:
    made = make_client(SPEC, chosen, data, (FEATURES,), np.random.default_rng(secrets.randbits(128)))
    return follow(made, common(made))


def _rows(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(secrets.randbits(128))
    x = rng.normal(size=(count, FEATURES)).astype(np.float32)
    return x, (x[:, 0] + rng.normal(size=count) > 0).astype(np.float32)
