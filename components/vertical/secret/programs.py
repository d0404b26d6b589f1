"""The secret programs of training and evaluation: functions of named variables inside the SPU.

Cut from the stored table at each rank: ``x`` (rows x features), ``y``, and ``weight`` where rows have one.
State (secret, stays inside): ``model``, the optimiser's, ``sums``, ``counts``.
Opened: by `figures_program` and `auc_program` a few means over all evaluated rows, where it is known whose rows they
are (elsewhere see `histogram`); by `score_program` logits, where prediction asks for it. Nothing during training.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from veilflow.components.vertical.secret.network import Network
from veilflow.components.vertical.secret.optimiser import Rule
from veilflow.components.vertical.secret.settings import DEALT_RANGE
from veilflow.components.vertical.split.fixed_point import sigmoid_softplus


@dataclass(frozen=True)
class Program:
    """A function with the names of its inputs and outputs."""

    name: str
    fn: Callable[..., tuple[Any, ...]]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def start_program(parts: Sequence[str]) -> Program:
    """The model starts as the sum of all parties' random parts: nobody knows where."""
    return Program("start", lambda *values: (sum(values[1:], values[0]),), tuple(parts), ("model",))


def forward_program(network: Network, raw: bool) -> Program:
    """Logits of a batch; ``raw``: times 2^raw_bits, for a sigmoid that takes them so."""
    outputs = ("logits", *(f"keep/{name}" for name in network.kept))
    return Program("forward", lambda model, x: tuple(network.forward(model, x, raw)), ("model", "x"), outputs)


def sigmoid_program() -> Program:
    """Probabilities, where no faster way exists (see `devices.dealt_sigmoid`)."""
    return Program("sigmoid", lambda logits: (sigmoid_softplus(logits)[0],), ("logits",), ("probability",))


def backward_program(network: Network, rule: Rule, rows: int, weighted: bool) -> Program:
    """The gradient of the mean loss over the batch and one step of the optimiser."""
    kept = tuple(f"keep/{name}" for name in network.kept)
    inputs = ("model", "x", "y", "probability", *kept, *rule.state, *rule.publics, *(("weight",) if weighted else ()))

    def backward(*values: Array) -> tuple[Array, ...]:
        given = dict(zip(inputs, values, strict=True))
        error = given["probability"] - given["y"]
        if weighted:
            error = error * given["weight"]
        total = network.gradient(given["model"], given["x"], [given[name] for name in kept], error)
        publics, state = [given[name] for name in rule.publics], [given[name] for name in rule.state]
        model, state = rule.step(given["model"], total, rows, state, publics)
        return (model, *state)

    return Program("backward", backward, inputs, ("model", *rule.state))


FIGURES = ("loss", "accuracy", "beyond")
"""What an evaluation opens; ``beyond`` is the share of rows whose logit is outside the dealt sigmoid's range."""


def evaluate_program(network: Network, chunk: int) -> Program:
    """Adds a chunk of rows to ``sums``: `FIGURES`, and rows.

    ``valid`` is public: 1 for rows of the chunk, 0 for what fills it up.
    """
    unit = 0.5 ** math.ceil(math.log2(chunk))  # exact in the fixed point, and the sums stay small

    def evaluate(model: Array, sums: Array, x: Array, y: Array, valid: Array) -> tuple[Array]:
        logits = network.forward(model, x)[0]
        _, softplus = sigmoid_softplus(logits)
        positive, high, low = jnp.stack([logits, logits - DEALT_RANGE, -DEALT_RANGE - logits]) > 0
        loss, hit = softplus - y * logits, jnp.where(positive, y, 1.0 - y)
        beyond = (high | low).astype(jnp.float32)
        total = jnp.stack([loss, hit, beyond, jnp.ones_like(loss)]) @ valid
        return (sums + total * unit,)

    return Program("evaluate", evaluate, ("model", "sums", "x", "y", "valid"), ("sums",))


def figures_program() -> Program:
    """Means from ``sums``; what is opened after an evaluation."""
    return Program("figures", lambda sums: (sums[:-1] / sums[-1],), ("sums",), ("figures",))


GRID = (8 * np.sinh(3 * np.linspace(-1, 1, 96)) / np.sinh(3)).astype(np.float32)
"""Logits at which the ROC curve is taken, closer together near 0; between two of them it is a straight line."""


def count_program(network: Network, chunk: int) -> Program:
    """Adds a chunk to ``counts`` (2 x (grid + 1)): positives, and all, above every grid point."""
    unit = 0.5 ** math.ceil(math.log2(chunk))

    def count(model: Array, counts: Array, x: Array, y: Array, valid: Array) -> tuple[Array]:
        logits = network.forward(model, x)[0]
        above = (logits[:, None] > GRID).astype(jnp.float32)
        above = jnp.concatenate([jnp.ones((logits.shape[0], 1), jnp.float32), above], axis=1)
        both = jnp.stack([y, jnp.ones_like(y)]) * valid
        return (counts + (both @ above) * unit,)

    return Program("count", count, ("model", "counts", "x", "y", "valid"), ("counts",))


def auc_program() -> Program:
    """The area under the ROC curve from ``counts``, by trapezoids."""

    def auc(counts: Array) -> tuple[Array]:
        positive, negative = counts[0], counts[1] - counts[0]
        rates = jnp.stack([positive / positive[0], negative / negative[0]])
        rates = jnp.concatenate([rates, jnp.zeros((2, 1), jnp.float32)], axis=1)
        steps = rates[1, :-1] - rates[1, 1:]
        return ((steps * (rates[0, :-1] + rates[0, 1:])).sum(keepdims=True) * 0.5,)

    return Program("auc", auc, ("counts",), ("auc",))


def score_program(network: Network) -> Program:
    """Logits of a chunk, to be opened to who asked for a prediction."""
    return Program("score", lambda model, x: (network.forward(model, x)[0],), ("model", "x"), ("scores",))


def weight_program(columns: int, chunk: int) -> Program:
    """One weight per row, the product of its weight and mask columns; ``total`` counts them, in units of a chunk."""
    unit = 0.5 ** math.ceil(math.log2(chunk))

    def product(total: Array, table: Array) -> tuple[Array, Array]:
        weight = table[:, 0]
        for index in range(1, columns):
            weight = weight * table[:, index]
        return weight, total + weight.sum(keepdims=True) * unit

    return Program("weights", product, ("total", "weights"), ("weight", "total"))


def normalise_program(rows: int, chunk: int) -> Program:
    """Weights with mean 1 over all rows: then the learning rate means the same however many rows count."""
    average = rows * 0.5 ** math.ceil(math.log2(chunk))

    def normalise(total: Array, weight: Array) -> tuple[Array]:
        return (weight * (average / total),)

    return Program("normalise", normalise, ("total", "weight"), ("weight",))
