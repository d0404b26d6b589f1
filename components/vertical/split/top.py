"""The top model: dense layers over the embeddings, one logit. Pure JAX; runs in an SPU or in the clear.

Parameters are one flat vector, so that an optimiser step is three operations whatever the number of layers.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from veilflow.components.vertical.split.model import Dense

Layer = tuple[Array, Array]
"""Kernel (inputs x units) and bias (units)."""


def layer_sizes(width: int, spec: Dense) -> list[tuple[int, int]]:
    """Per layer (inputs, units), the output unit last."""
    sizes = [width, *spec.layers, 1]
    return list(itertools.pairwise(sizes))


def count(width: int, spec: Dense) -> int:
    """Number of parameters."""
    return sum((n + 1) * m for n, m in layer_sizes(width, spec))


def init_top(width: int, spec: Dense, rng: np.random.Generator) -> np.ndarray:
    """Flat parameters, He-initialised, biases 0. Everything random here is public or secret as the caller wishes."""
    parts = []
    for n, m in layer_sizes(width, spec):
        parts += [rng.normal(0, np.sqrt(2 / n), n * m), np.zeros(m)]
    flat: np.ndarray = np.concatenate(parts).astype(np.float32)
    return flat


def unpack(flat: Array, width: int, spec: Dense) -> list[Layer]:
    """Layers of a flat parameter vector."""
    layers, at = [], 0
    for n, m in layer_sizes(width, spec):
        layers.append((flat[at : at + n * m].reshape(n, m), flat[at + n * m : at + (n + 1) * m]))
        at += (n + 1) * m
    return layers


class Forward(NamedTuple):
    """What the backward pass needs of a forward pass: per hidden layer its output and its derivative."""

    logits: Array
    hidden: list[Array]
    slopes: list[Array | None]
    """relu: a secret boolean; quadratic: the slope itself; identity: None."""


def forward(layers: Sequence[Layer], activation: str, x: Array) -> Forward:
    """Logits of ``x`` (rows x width): shape (rows,)."""
    hidden, slopes = [], []
    for kernel, bias in layers[:-1]:
        z = x @ kernel + bias
        x, slope = _activate(z, activation)
        hidden.append(x)
        slopes.append(slope)
    kernel, bias = layers[-1]
    return Forward((x @ kernel + bias)[:, 0], hidden, slopes)


class Backward(NamedTuple):
    """Deltas by layer. A layer's delta is ``deltas[l] * weights[l]``: the output weights are kept apart, because
    multiplying the small kernels costs less than multiplying one value per row and unit."""

    deltas: list[Array]
    weights: list[Array | None]


def jacobian(layers: Sequence[Layer], run: Forward) -> tuple[list[Array], Array]:
    """How each row's logit depends on what a layer adds up: per layer (rows x units), and on the embeddings.

    A row's gradient of the loss is its error (probability minus label) times this: the label is in the error alone.
    """
    rows = run.logits.shape[0]
    delta = jnp.ones((rows, 1), jnp.float32)
    deltas = [delta]
    for number in range(len(layers) - 1, -1, -1):
        kernel = layers[number][0]
        # The single output unit: every row starts with its weights.
        back = jnp.broadcast_to(kernel[:, 0], (rows, kernel.shape[0])) if delta is deltas[-1] else delta @ kernel.T
        if number == 0:
            return deltas, back
        delta = _through(back, run.slopes[number - 1])
        deltas.insert(0, delta)
    raise AssertionError("a top model has an output unit")


def _activate(z: Array, activation: str) -> tuple[Array, Array | None]:
    if activation == "relu":
        positive = z > 0
        return jnp.where(positive, z, 0.0), positive
    if activation == "quadratic":
        # Close to softplus(z) for |z| < 3; no comparison.
        slope = z * 0.25 + 0.5
        return z * (z * 0.125 + 0.5) + 0.6931472, slope
    return z, None


def _through(delta: Array, slope: Array | None) -> Array:
    if slope is None:
        return delta
    return jnp.where(slope, delta, 0.0) if slope.dtype == jnp.bool_ else delta * slope
