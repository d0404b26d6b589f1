"""How fast split learning trains, and how well, against one party that holds all columns.

Throughput  rows per second of one epoch with three party processes on this machine, and bytes sent per row by all of
            them, for both releases. Baseline: the same network, batch and optimisers in one JAX process, same run.
Accuracy    test AUC on real tables where their files are there, against the mean of several centralised trainings.
"""

import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from veilflow.pipelines.bench.result import Result

_PARTIES = ["hospital", "insurer", "coordinator"]
_PARTY_SIDE = "veilflow.pipelines.bench.split_party"
_RELEASES = ("summed", "per_example")
_CENTRAL = "centralised JAX, same network"

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
"""Where real tables are looked for: a folder ``shared/data`` beside the project."""


def run(rows: int | None = None, batch: int = 512, features: int = 10, epochs: int = 20) -> list[Result]:
    """Measure.

    Args:
        rows: rows per epoch for throughput, 20 batches by default.
        batch: rows per step.
        features: columns at each of two parties.
        epochs: of the trainings whose AUC is compared.
    """
    from veilflow.pipelines.bench.split_data import available
    from veilflow.pipelines.launch.simulation import Simulation

    rows = max(batch, (rows or 20 * batch) // batch * batch)
    with tempfile.TemporaryDirectory(prefix="veilflow-bench-") as folder, Simulation(Path(folder), _PARTIES) as parties:
        results = throughput(parties.call, rows, batch, features)
        for table in available(DATA):
            results += accuracy(parties.call, DATA, table, epochs, batch)
    return results


def throughput(call: Callable[..., dict[str, Any]], rows: int, batch: int, features: int) -> list[Result]:
    """Speed and traffic of every release, and the baseline. ``call`` calls a function by name at every party."""
    central = central_rows_per_second(rows, batch, features)
    case = f"batch {batch}, {features}+{features} features"
    results = []
    for release, activation in (("summed", "relu"), ("summed", "quadratic"), ("per_example", "relu")):
        found = call(f"{_PARTY_SIDE}:throughput", release, rows, batch, features, activation)
        seconds = max(each["seconds"] for each in found.values())
        sent = sum(each["bytes"] for each in found.values())
        speed = next(iter(found.values()))["rows"] / seconds
        name = f"{release}, {activation} top, {case}"
        results.append(Result(name, "throughput", "rows/s", speed, _CENTRAL, speed / central))
        results.append(Result(name, "traffic, all parties", "bytes/row", sent / rows))
    results.append(Result(f"centralised, {case}", "throughput", "rows/s", central))
    return results


def accuracy(call: Callable[..., dict[str, Any]], folder: Path, table: str, epochs: int, batch: int) -> list[Result]:
    """Test AUC of both releases on a real table, and the baseline's."""
    token = secrets.token_hex(16)
    central = float(np.mean([central_auc(folder, table, token, epochs, batch) for _ in range(5)]))
    results = [Result(f"centralised, {table}, {epochs} epochs, mean of 5", "AUC", "", central)]
    for release in _RELEASES:
        found = call(f"{_PARTY_SIDE}:accuracy", release, str(folder), table, token, epochs, batch)
        value = float(next(iter(found.values()))["auc"])
        results.append(Result(f"{release}, {table}, {epochs} epochs", "AUC", "", value, _CENTRAL, value / central))
    return results


def central_rows_per_second(rows: int, batch: int, features: int) -> float:
    """Speed of the same network where one process holds everything: jitted steps, one after the other."""
    rng = np.random.default_rng(secrets.randbits(128))
    x = rng.normal(size=(rows, 2 * features)).astype(np.float32)
    y = (rng.random(rows) < 0.5).astype(np.float32)
    trainer = _Central(features, features)
    trainer.epoch(x[:batch], y[:batch], batch)
    started = time.monotonic()
    trainer.epoch(x, y, batch)
    return rows / (time.monotonic() - started)


def central_auc(folder: Path, table: str, token: str, epochs: int, batch: int) -> float:
    """Test AUC of the same network trained on all columns at one place."""
    from veilflow.components.training.history import auc
    from veilflow.pipelines.bench.split_data import load_part

    one, other = (load_part(folder, table, token, label) for label in (True, False))
    assert one.train_label is not None
    assert one.test_label is not None
    trainer = _Central(one.train.shape[1], other.train.shape[1])
    x, y = np.concatenate([one.train, other.train], axis=1), one.train_label
    rng = np.random.default_rng(secrets.randbits(128))
    for _ in range(epochs):
        order = rng.permutation(len(y))
        trainer.epoch(x[order], y[order], batch)
    return auc(one.test_label, trainer.logits(np.concatenate([one.test, other.test], axis=1)))


class _Central:
    """Both bottoms and the top in one jitted step, all with Adam."""

    def __init__(self, first: int, second: int) -> None:
        import jax
        import jax.numpy as jnp
        import optax

        from veilflow.components.vertical.split import top
        from veilflow.components.vertical.split.bottom import apply_dense, init_dense
        from veilflow.components.vertical.split.model import Dense
        from veilflow.pipelines.bench.split_party import EMBEDDING, HIDDEN

        bottom, spec = Dense((EMBEDDING,), "relu"), Dense((HIDDEN,), "relu")
        rng = np.random.default_rng(secrets.randbits(128))
        flat = jnp.asarray(top.init_top(2 * EMBEDDING, spec, rng))
        self._params: Any = (init_dense(first, bottom, rng), init_dense(second, bottom, rng), flat)
        rule = optax.adam(0.01)
        self._memory: Any = rule.init(self._params)

        def logits(params: Any, x: Any) -> Any:
            parts = [apply_dense(params[0], bottom, x[:, :first]), apply_dense(params[1], bottom, x[:, first:])]
            layers = top.unpack(params[2], 2 * EMBEDDING, spec)
            return top.forward(layers, spec.activation, jnp.concatenate(parts, axis=1)).logits

        def loss(params: Any, x: Any, y: Any) -> Any:
            z = logits(params, x)
            return jnp.mean(jax.nn.softplus(z) - y * z)

        def step(params: Any, memory: Any, x: Any, y: Any) -> Any:
            changes, memory = rule.update(jax.grad(loss)(params, x, y), memory, params)
            return optax.apply_updates(params, changes), memory

        self._step, self._logits = jax.jit(step), jax.jit(logits)

    def epoch(self, x: np.ndarray, y: np.ndarray, batch: int) -> None:
        """Whole batches in the order given; returns when all are done."""
        for start in range(0, len(y) - batch + 1, batch):
            rows = slice(start, start + batch)
            self._params, self._memory = self._step(self._params, self._memory, x[rows], y[rows])
        self._params[2].block_until_ready()

    def logits(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self._logits(self._params, x))
