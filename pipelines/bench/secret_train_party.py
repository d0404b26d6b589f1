"""The parties' side of `bench secret_train`: called by name at every party, in the same order, in a simulation."""

import secrets
import time
from pathlib import Path
from typing import Any

import numpy as np

from veilflow.components.devices.pyu import publish, run_on, send_to
from veilflow.components.devices.replicate import deal
from veilflow.components.devices.secret import SecretMachine
from veilflow.components.devices.secret_table import FEATURE, LABEL, SecretColumn, SecretTable, SpuFacts
from veilflow.components.training.batches import epoch_order
from veilflow.components.training.history import auc
from veilflow.components.vertical.secret.network import make_network
from veilflow.components.vertical.secret.optimiser import Rule
from veilflow.components.vertical.secret_train.training import SecretTraining
from veilflow.components.vertical.split.model import Dense
from veilflow.pipelines.bench.split_data import load_part
from veilflow.pipelines.party.traffic import TrafficMeter

HOLDER, OTHER = "hospital", "insurer"
RATE = 0.3


def throughput(ctx: Any, case: str, seed: int, rows: int, batch: int, features: int, epochs: int) -> dict[str, float]:
    """Seconds and bytes from plain columns to a trained model, and its AUC on the same rows."""
    parts = {party: run_on(party, _made, seed, rows, features, party == HOLDER) for party in (HOLDER, OTHER)}
    label = run_on(HOLDER, _label, seed, rows, features)
    publish({party: run_on(party, len, part) for party, part in parts.items()})
    device = ctx.make_spu()
    meter = TrafficMeter()
    before, started = meter.total(), time.monotonic()
    if case == "secret_train":
        weights = _ours(device, parts, label, rows, features, epochs, batch)
    else:
        from veilflow.components.devices.baseline import fit

        weights = fit(case, device, parts, label, epochs=epochs, batch=batch, rate=RATE)
    publish(run_on(HOLDER, len, weights))
    seconds, sent = time.monotonic() - started, meter.total() - before
    meter.close()

    def judge(flat: np.ndarray) -> float:
        x, y = _all(seed, rows, features)
        return auc(y, x @ flat[:-1] + flat[-1])

    return {"seconds": seconds, "bytes": float(sent), "auc": publish(run_on(HOLDER, judge, weights))}


def accuracy(ctx: Any, folder: str, table: str, token: str, epochs: int, batch: int) -> dict[str, float]:
    """Test AUC after training on a real table, each party reading its own file; ``token`` fixes train and test rows."""
    parts = {
        HOLDER: run_on(HOLDER, _loaded, folder, table, token, True, True),
        OTHER: run_on(OTHER, _loaded, folder, table, token, False, True),
    }
    label = run_on(HOLDER, lambda: load_part(Path(folder), table, token, True).train_label)
    shapes = publish({party: run_on(party, lambda part: list(part.shape), part) for party, part in parts.items()})
    device = ctx.make_spu()
    rows, widths = shapes[HOLDER][0], [shapes[HOLDER][1], shapes[OTHER][1]]
    weights = _ours(device, parts, label, rows, widths, epochs, batch)
    other = send_to(HOLDER, run_on(OTHER, _loaded, folder, table, token, False, False))

    def judge(flat: np.ndarray, theirs: np.ndarray) -> float:
        mine = load_part(Path(folder), table, token, True)
        assert mine.test_label is not None
        return auc(mine.test_label, np.concatenate([mine.test, theirs], axis=1) @ flat[:-1] + flat[-1])

    return {"auc": publish(run_on(HOLDER, judge, weights, other))}


def _ours(
    device: Any, parts: dict[str, Any], label: Any, rows: int, widths: int | list[int], epochs: int, batch: int
) -> Any:
    """Share, train, open to the holder of the label: weights with the bias last."""
    machine = SecretMachine(device)
    spu = SpuFacts.of(machine)
    widths = [widths, widths] if isinstance(widths, int) else widths
    held = {**parts, "label": label}
    messages = {}
    for name, value in held.items():
        owner = HOLDER if name == "label" else name
        messages[name] = run_on(
            owner, lambda x: tuple(part.tobytes() for part in deal(x.reshape(rows, -1), spu.protocol)), value, returns=3
        )
    columns = [SecretColumn(f"x{i}", HOLDER if i < widths[0] else OTHER, FEATURE) for i in range(sum(widths))]
    table = SecretTable((*columns, SecretColumn("y", HOLDER, LABEL)), rows, spu, "bench")

    def join(*raw: bytes) -> np.ndarray:
        return np.concatenate([np.frombuffer(each, np.uint64).reshape(rows, -1, 2) for each in raw], axis=1)

    shares = {
        party: run_on(party, join, *[send_to(party, messages[name][rank]) for name in held])
        for rank, party in enumerate(spu.parties)
    }
    network = make_network(Dense((), "relu"), sum(widths))
    training = SecretTraining(machine, table, shares, network, Rule("sgd", RATE, 0.0), batch, dealt=True)
    for _ in range(epochs):
        token: bytes = publish(run_on(HOLDER, secrets.token_bytes, 16))
        training.epoch(epoch_order([token], rows))
    return run_on(HOLDER, lambda flat: flat, training.open_model(HOLDER))


def _all(seed: int, rows: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 2 * features)).astype(np.float32)
    logits = x @ rng.normal(0, 0.4, 2 * features)
    return x, (rng.random(rows) < 1 / (1 + np.exp(-logits))).astype(np.float32)


def _made(seed: int, rows: int, features: int, first: bool) -> np.ndarray:
    x = _all(seed, rows, features)[0]
    return x[:, :features] if first else x[:, features:]


def _label(seed: int, rows: int, features: int) -> np.ndarray:
    return _all(seed, rows, features)[1]


def _loaded(folder: str, table: str, token: str, label: bool, train: bool) -> np.ndarray:
    part = load_part(Path(folder), table, token, label)
    return part.train if train else part.test
