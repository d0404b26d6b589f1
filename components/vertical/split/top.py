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


def backward(layers: Sequence[Layer], run: Forward, error: Array) -> tuple[Backward, Array]:
    """Deltas of every layer, and the gradient by the embeddings (rows x width), both per row.

    Args:
        error: gradient of the loss by the logit, shape (rows,).
    """
    delta, weight = error[:, None], None
    deltas, weights = [delta], [weight]
    for number in range(len(layers) - 1, 0, -1):
        kernel = layers[number][0]
        if number == len(layers) - 1:
            # The single output unit: its weights scale the columns of what follows, the rows all carry the same error.
            shape = (error.shape[0], kernel.shape[0])
            delta, weight = _through(jnp.broadcast_to(error[:, None], shape), run.slopes[number - 1]), kernel[:, 0]
        else:
            delta, weight = _through(delta @ _scaled(kernel, weight), run.slopes[number - 1]), None
        deltas.insert(0, delta)
        weights.insert(0, weight)
    return Backward(deltas, weights), delta @ _scaled(layers[0][0], weight)


def gradient(x: Array, run: Forward, back: Backward, label: Array) -> tuple[Array, Array]:
    """The flat gradient summed over rows, and the sum of label times logit (the loss needs it; one product for all).

    Returns:
        Shapes (parameters,) and (1,).
    """
    inputs = [x, *run.hidden]
    left = jnp.concatenate([*inputs, label[:, None]], axis=1)
    right = jnp.concatenate([*back.deltas, run.logits[:, None]], axis=1)
    joint = left.T @ right
    parts, row, column = [], 0, 0
    for each, delta, weight in zip(inputs, back.deltas, back.weights, strict=True):
        n, m = each.shape[1], delta.shape[1]
        block = jnp.concatenate([joint[row : row + n, column : column + m], delta.sum(axis=0)[None]])
        block = block if weight is None else block * weight
        parts.append(block.reshape(-1))
        row, column = row + n, column + m
    return jnp.concatenate(parts), joint[-1:, -1]


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


def _scaled(kernel: Array, weight: Array | None) -> Array:
    """The transposed kernel, with a column weight multiplied in."""
    return kernel.T if weight is None else (kernel * weight).T
