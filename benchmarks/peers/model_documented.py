"""What a client does in a round in the manner of Flower's JAX quickstart: same network, loss, rows, order of rows and
rate as `model.py`, but a training state per message, two jitted functions per batch and a Python loop over batches.

A state holds the optimiser and the network's function, both part of what JAX compiles for: since each message makes
them anew, as the quickstart does, both functions are compiled in every round.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import model
import numpy as np
import optax
from flax.training.train_state import TrainState

_kept: dict[str, np.ndarray] = {}
"""File name -> its array; read once per process, as the quickstart keeps its data set."""


class Batches:
    """Shuffled whole batches, put on the device one by one; rows that fill no batch wait for another round's order."""

    def __init__(self, x: np.ndarray, y: np.ndarray, batch: int, rng: np.random.Generator) -> None:
        self._x, self._y, self._order = x, y, rng.permutation(len(y))
        self._batch = min(batch, len(y))

    def __len__(self) -> int:
        return len(self._y) // self._batch

    @property
    def rows(self) -> int:
        """Rows of all batches."""
        return len(self) * self._batch

    def __iter__(self) -> Iterator[dict[str, jax.Array]]:
        for start in range(0, self.rows, self._batch):
            at = self._order[start : start + self._batch]
            yield {"x": jnp.asarray(self._x[at]), "y": jnp.asarray(self._y[at])}


def load(folder: str, number: int, batch: int, seed: int) -> Batches:
    """Client ``number``'s loader for one round."""
    for name in (files := [str(Path(folder) / f"bank_{number + 1}_{name}.npy") for name in "xy"]):
        if name not in _kept:
            _kept[name] = np.load(name)
    x, y = (_kept[name] for name in files)
    return Batches(x, y, batch, np.random.default_rng([seed, number]))


def fresh_params() -> Any:
    """The parameters that `model.initial` has as a vector, as a tree."""
    return model.Mlp().init(jax.random.PRNGKey(7), jnp.zeros((1, model.FEATURES)))["params"]


def fresh_state(rate: float) -> TrainState:
    """Network, fresh parameters and optimiser; the parameters are only a form for those received."""
    return TrainState.create(apply_fn=model.Mlp().apply, params=fresh_params(), tx=optax.sgd(rate))


def arrays(params: Any) -> list[np.ndarray]:
    """The tree's leaves, as they travel."""
    return [np.array(leaf) for leaf in jax.tree_util.tree_leaves(params)]


def with_arrays(state: TrainState, received: Sequence[np.ndarray]) -> TrainState:
    """``state`` with the parameters received."""
    form = jax.tree_util.tree_structure(state.params)
    return state.replace(params=jax.tree_util.tree_unflatten(form, list(received)))


@jax.jit
def gradients(state: TrainState, x: jax.Array, y: jax.Array) -> tuple[Any, jax.Array, jax.Array]:
    """Of a batch: the slope of the mean loss, that loss, and the accuracy."""

    def mean_loss(params: Any) -> tuple[jax.Array, jax.Array]:
        logit = state.apply_fn({"params": params}, x)
        return jnp.mean(optax.sigmoid_binary_cross_entropy(logit, y)), logit

    (loss, logit), slopes = jax.value_and_grad(mean_loss, has_aux=True)(state.params)
    return slopes, loss, jnp.mean((logit > 0) == (y > 0.5))


@jax.jit
def updated(state: TrainState, slopes: Any) -> TrainState:
    """``state`` after one step of its optimiser."""
    return state.apply_gradients(grads=slopes)


def train(state: TrainState, loader: Batches) -> tuple[TrainState, float, float]:
    """One pass: the state after it, and the means of loss and accuracy over its batches."""
    losses, accuracies = [], []
    for batch in loader:
        slopes, loss, accuracy = gradients(state, batch["x"], batch["y"])
        state = updated(state, slopes)
        losses.append(loss)
        accuracies.append(accuracy)
    return state, float(np.mean(losses)), float(np.mean(accuracies))
