"""Dense bottoms in the clear at their owner, and what of a forward pass the secret backward pass needs.

Gradients of a dense layer are outer products of its inputs and its deltas. The owner knows the inputs, the SPU
computes the deltas, and the squared norm of a row's gradient is the sum over layers of
||inputs||**2 * ||deltas||**2 (the "ghost norm": no per-row gradient is ever formed). The SPU measures both: an owner
that says its rows were short would go past the clip.

The owner infeeds inputs shrunk to at most ``MAX_NORM`` where they are longer, so that its rows count: the SPU leaves
out rows beyond what it can measure. Embeddings saturate at ``LIMIT`` for the same reason.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from veilflow.components.vertical.split.fixed_point import LIMIT
from veilflow.components.vertical.split.model import Dense

Params = list[dict[str, Array]]
"""Per layer ``kernel`` (inputs x units) and ``bias`` (units)."""

MAX_NORM = LIMIT / 2
"""A layer's input row beyond this norm counts, in the gradient, as if shrunk to it; standardised features stay far
below."""

ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "gelu": jax.nn.gelu,
    "identity": lambda x: x,
}


def init_dense(inputs: int, spec: Dense, rng: np.random.Generator) -> Params:
    """He-initialised layers; ``rng`` comes from the operating system's randomness except in tests."""
    sizes = [inputs, *spec.layers]
    return [
        {
            "kernel": jnp.asarray(rng.normal(0, np.sqrt(2 / n), (n, m)), jnp.float32),
            "bias": jnp.zeros(m, jnp.float32),
        }
        for n, m in itertools.pairwise(sizes)
    ]


def apply_dense(params: Params, spec: Dense, x: Array) -> Array:
    """Embeddings of ``x`` (rows x features): rows x ``spec.layers[-1]``."""
    act = ACTIVATIONS[spec.activation]
    for layer in params:
        x = act(x @ layer["kernel"] + layer["bias"])
    return x


@lru_cache(maxsize=32)
def trace_dense(spec: Dense) -> Callable[[Params, Array], dict[str, Array]]:
    """A jitted ``(params, x) -> feeds``: what the owner infeeds for one batch.

    ``embedding`` (rows x width); per layer ``l`` = 1..L ``input{l}`` (rows x inputs + 1, the last column stands for the
    bias) and ``slope{l}`` (rows x units, the derivative; int8 for relu); ``kernel{l}`` of layers above the first,
    through which deltas pass downwards.
    """
    act = ACTIVATIONS[spec.activation]

    def trace(params: Params, x: Array) -> dict[str, Array]:
        feeds: dict[str, Array] = {}
        for number, layer in enumerate(params, start=1):
            augmented = jnp.concatenate([x, jnp.ones((x.shape[0], 1), x.dtype)], axis=1)
            length = jnp.linalg.norm(augmented, axis=1)
            feeds[f"input{number}"] = augmented * (jnp.minimum(length, MAX_NORM) / length)[:, None]
            z = x @ layer["kernel"] + layer["bias"]
            x, pullback = jax.vjp(act, z)
            slope = pullback(jnp.ones_like(x))[0]
            feeds[f"slope{number}"] = (z > 0).astype(jnp.int8) if spec.activation == "relu" else slope
            if number > 1:
                feeds[f"kernel{number}"] = layer["kernel"]
        # Values that saturate no longer move.
        last = f"slope{len(params)}"
        feeds[last] = jnp.where(jnp.abs(x) < LIMIT, feeds[last], jnp.zeros_like(feeds[last]))
        feeds["embedding"] = jnp.clip(x, -LIMIT, LIMIT)
        return feeds

    jitted: Callable[[Params, Array], dict[str, Array]] = jax.jit(trace)
    return jitted


def feed_shapes(inputs: int, spec: Dense, rows: int) -> dict[str, tuple[int, ...]]:
    """Shapes of `trace_dense`'s feeds, by name."""
    sizes = [inputs, *spec.layers]
    shapes: dict[str, tuple[int, ...]] = {"embedding": (rows, sizes[-1])}
    for number in range(1, len(sizes)):
        shapes[f"input{number}"] = (rows, sizes[number - 1] + 1)
        shapes[f"slope{number}"] = (rows, sizes[number])
        if number > 1:
            shapes[f"kernel{number}"] = (sizes[number - 1], sizes[number])
    return shapes


def gradient_sizes(inputs: int, spec: Dense) -> list[tuple[int, int]]:
    """Per layer (inputs + 1, units): its kernel's gradient with the bias's as the last row."""
    sizes = [inputs, *spec.layers]
    return [(n + 1, m) for n, m in itertools.pairwise(sizes)]


def unpack_gradient(flat: np.ndarray, inputs: int, spec: Dense) -> Params:
    """The opened vector as a gradient in the form of the parameters."""
    found, at = [], 0
    for rows, units in gradient_sizes(inputs, spec):
        block = jnp.asarray(flat[at : at + rows * units], jnp.float32).reshape(rows, units)
        found.append({"kernel": block[:-1], "bias": block[-1]})
        at += rows * units
    return found


def pack_params(params: Params) -> dict[str, np.ndarray]:
    """Arrays by name, for `objects.pack`."""
    return {f"layer{i}/{name}": np.asarray(x) for i, layer in enumerate(params, 1) for name, x in layer.items()}


def unpack_params(arrays: Mapping[str, np.ndarray], depth: int) -> Params:
    """The inverse of `pack_params`."""
    names: Sequence[str] = ("kernel", "bias")
    return [{name: jnp.asarray(arrays[f"layer{i}/{name}"]) for name in names} for i in range(1, depth + 1)]


def describe(inputs: int, spec: Dense) -> dict[str, Any]:
    """For reports: number of parameters and shape in words."""
    total = sum(rows * units for rows, units in gradient_sizes(inputs, spec))
    return {"layers": "-".join(map(str, [inputs, *spec.layers])), "parameters": total}
