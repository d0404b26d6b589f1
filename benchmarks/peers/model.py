"""What a client does in a round, the same for Flower and NVFlare and the same mathematics as VeilFlow's own clients:
the network 28-64-32-1 in Flax, binary cross-entropy, plain SGD over shuffled batches, one jitted scan per pass.

Rows are loaded once per process and stay there. Imports nothing of VeilFlow: it runs in the peer's environment.
"""

import json
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

FEATURES = 28


class Mlp(nn.Module):
    """Two hidden layers and one logit per row."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for size in (64, 32):
            x = nn.relu(nn.Dense(size)(x))
        return nn.Dense(1)(x)[:, 0]


def task(folder: str) -> dict[str, Any]:
    """``rounds, clients, batch, epochs, rate`` as the bench wrote them."""
    found: dict[str, Any] = json.loads((Path(folder) / "task.json").read_text())
    return found


def initial() -> np.ndarray:
    """Fresh parameters as one float32 vector."""
    return np.asarray(ravel_pytree(_fresh())[0], np.float32)


def train(folder: str, number: int, vector: np.ndarray, seed: int) -> tuple[np.ndarray, float, int]:
    """The parameters after client ``number``'s local passes, their mean loss, and the client's rows."""
    chosen, (x, y) = task(folder), rows(folder, number)
    rng = np.random.default_rng([seed, number])
    losses = []
    for _ in range(chosen["epochs"]):
        index, weight = batches(len(y), chosen["batch"], rng)
        vector, loss = _passes()(vector, x, y, index, weight, chosen["rate"])
        losses.append(float(loss))
    return np.asarray(vector, np.float32), float(np.mean(losses)), len(y)


@lru_cache(maxsize=8)
def rows(folder: str, number: int) -> tuple[jax.Array, jax.Array]:
    """Client ``number``'s rows on the device; read once per process."""
    x, y = (np.load(Path(folder) / f"bank_{number + 1}_{name}.npy") for name in "xy")
    return jax.device_put(x), jax.device_put(y)


def batches(count: int, batch: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers and weights, (steps, batch) each; the last batch is filled up with weight 0."""
    steps = -(-count // batch)
    index, weight = np.zeros(steps * batch, np.int32), np.zeros(steps * batch, np.float32)
    index[:count], weight[:count] = rng.permutation(count), 1.0
    return index.reshape(steps, batch), weight.reshape(steps, batch)


@lru_cache(maxsize=1)
def _fresh() -> Any:
    # A seed: what is compared is time, and the quality that any start reaches.
    return Mlp().init(jax.random.PRNGKey(7), jnp.zeros((1, FEATURES)))["params"]


@lru_cache(maxsize=1)
def _passes() -> Callable[..., tuple[jax.Array, jax.Array]]:
    restore = ravel_pytree(_fresh())[1]

    def mean_loss(vector: jax.Array, x: jax.Array, y: jax.Array, weight: jax.Array) -> jax.Array:
        logit = Mlp().apply({"params": restore(vector)}, x)
        return jnp.sum((jax.nn.softplus(logit) - y * logit) * weight) / jnp.sum(weight)

    def run(
        vector: jax.Array, x: jax.Array, y: jax.Array, index: jax.Array, weight: jax.Array, rate: float
    ) -> tuple[jax.Array, jax.Array]:
        def step(now: jax.Array, batch: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            at, w = batch
            loss, slope = jax.value_and_grad(mean_loss)(now, x[at], y[at], w)
            return now - rate * slope, loss * jnp.sum(w)

        after, losses = jax.lax.scan(step, vector, (index, weight))
        return after, jnp.sum(losses) / jnp.sum(weight)

    compiled: Callable[..., tuple[jax.Array, jax.Array]] = jax.jit(run)
    return compiled


def finish(out: str, vector: np.ndarray, starts: list[float]) -> None:
    """Write the final model as layers, and the seconds between the starts of successive rounds."""
    layers = jax.tree_util.tree_flatten_with_path(ravel_pytree(_fresh())[1](jnp.asarray(vector)))[0]
    named = {"/".join(part.key for part in path): np.asarray(leaf) for path, leaf in layers}
    np.savez(Path(out) / "model.npz", **named)  # type: ignore[arg-type]
    (Path(out) / "starts.json").write_text(json.dumps(starts))


def now() -> float:
    """Seconds on a clock that all processes of the machine share."""
    return time.monotonic()
