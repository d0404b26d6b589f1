"""The parties' side of `bench split`: called by name at every party, in the same order, in a living simulation."""

import secrets
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.secret import SecretMachine
from veilflow.components.training.batches import batch_size, epoch_order
from veilflow.components.training.history import auc
from veilflow.components.vertical.split.model import Dense, SplitModel
from veilflow.components.vertical.split.owner import stored_params
from veilflow.components.vertical.split.roster import Roster
from veilflow.components.vertical.split.settings import FROM_EPSILON, SUMMED, Optimiser, Settings
from veilflow.components.vertical.split_train.epochs import SplitTraining
from veilflow.components.vertical.split_train.per_example import PerExampleTraining
from veilflow.components.vertical.split_train.summed import SummedTraining, secret_logits
from veilflow.pipelines.bench.split_data import Table, load_part
from veilflow.pipelines.party.traffic import TrafficMeter

LABEL_HOLDER, OTHER = "hospital", "insurer"

EMBEDDING, HIDDEN = 16, 16


def settings(release: str, epochs: int, batch: int) -> Settings:
    """The component's own defaults."""
    return Settings(
        release=release,
        epochs=epochs,
        batch=batch,
        minimum_batch=32,
        clip=2.0,
        noise=FROM_EPSILON,
        bottom_optimiser=Optimiser("adam", 0.01),
        top_optimiser=Optimiser("momentum", 0.1),
    )


def throughput(ctx: Any, release: str, rows: int, batch: int, features: int, activation: str) -> dict[str, float]:
    """Seconds and bytes of one epoch over random rows, after one step that compiles everything."""
    data = {
        LABEL_HOLDER: run_on(LABEL_HOLDER, _random_rows, rows, features, True),
        OTHER: run_on(OTHER, _random_rows, rows, features, False),
    }
    columns = {party: tuple(f"{party}{i}" for i in range(features)) for party in data}
    training, _, _ = _training(ctx, release, columns, data, settings(release, 20, batch), batch, activation)
    order = epoch_order([b"bench"], rows)
    training.epoch(order[:batch])
    meter = TrafficMeter()
    before, started = meter.total(), time.monotonic()
    training.epoch(order)
    seconds, sent = time.monotonic() - started, meter.total() - before
    meter.close()
    return {"seconds": seconds, "rows": float(rows // batch * batch), "bytes": float(sent)}


def accuracy(ctx: Any, release: str, folder: str, table: str, token: str, epochs: int, batch: int) -> dict[str, float]:
    """Test AUC after training on a real table, each party reading its own file; ``token`` fixes train and test rows."""
    parts = {
        LABEL_HOLDER: run_on(LABEL_HOLDER, _real_rows, folder, table, token, True),
        OTHER: run_on(OTHER, _real_rows, folder, table, token, False),
    }
    columns = publish({party: run_on(party, lambda part: part.columns, part) for party, part in parts.items()})
    rows: int = publish(run_on(LABEL_HOLDER, lambda part: len(part.train), parts[LABEL_HOLDER]))
    tests: int = publish(run_on(LABEL_HOLDER, lambda part: len(part.test), parts[LABEL_HOLDER]))
    train = {party: run_on(party, lambda part: (part.train, part.train_label), part) for party, part in parts.items()}
    test = {party: run_on(party, lambda part: (part.test, part.test_label), part) for party, part in parts.items()}
    chosen = settings(release, epochs, batch)
    size = batch_size(rows, batch, chosen.minimum_batch)
    names = {party: tuple(found) for party, found in columns.items()}
    training, model, machine = _training(ctx, release, names, train, chosen, size, "relu")
    for _ in range(epochs):
        token_bytes: bytes = publish(run_on(LABEL_HOLDER, secrets.token_bytes, 16))
        training.epoch(epoch_order([token_bytes], rows))
    if machine is None:
        return {"auc": training.validate(test, tests)["valid_auc"]}
    # What a training opens of validation rows is a noised figure: an AUC needs their logits.
    bottoms = training.model_sections()["bottom"]
    params = {
        party: run_on(party, partial(stored_params, model.bottoms[party]), part) for party, part in bottoms.items()
    }
    features = {party: run_on(party, lambda pair: pair[0], pair) for party, pair in test.items()}
    logits = secret_logits(machine, model, params, features, tests, LABEL_HOLDER)
    found: float = publish(run_on(LABEL_HOLDER, lambda pair, z: auc(pair[1], z), test[LABEL_HOLDER], logits))
    return {"auc": found}


def _training(
    ctx: Any,
    release: str,
    columns: dict[str, tuple[str, ...]],
    data: dict[str, Any],
    chosen: Settings,
    size: int,
    activation: str,
) -> tuple[SplitTraining, SplitModel, SecretMachine | None]:
    roster = Roster(columns, LABEL_HOLDER, "label")
    bottoms = {party: Dense((EMBEDDING,), "relu") for party in columns}
    model = SplitModel(bottoms, Dense((HIDDEN,), activation))
    if release == SUMMED:
        machine = SecretMachine(ctx.make_spu())
        return SummedTraining(machine, roster, model, chosen, data, size), model, machine
    return PerExampleTraining(roster, model, chosen, data, size), model, None


def _random_rows(rows: int, features: int, label: bool) -> tuple[np.ndarray, np.ndarray | None]:
    rng = np.random.default_rng(secrets.randbits(128))
    x = rng.normal(size=(rows, features)).astype(np.float32)
    return x, (rng.random(rows) < 0.5).astype(np.float32) if label else None


def _real_rows(folder: str, table: str, token: str, label: bool) -> Table:
    return load_part(Path(folder), table, token, label)
