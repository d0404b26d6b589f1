"""Networks that run inside the SPU: dense layers of ours, or a user's Flax module. Pure JAX.

Parameters are one flat vector. A network has a forward pass that keeps what the backward pass needs, so that the
sigmoid in between can be computed by other means than an SPU program.
"""

import itertools
from collections.abc import Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.flatten_util import ravel_pytree

from veilflow.components.errors import ComponentError
from veilflow.components.training.user_modules import Module, load_module
from veilflow.components.vertical.split import top
from veilflow.components.vertical.split.fixed_point import FRACTION_BITS
from veilflow.components.vertical.split.model import Dense

Spec = Dense | Module


class Network(Protocol):
    """What training and prediction need of a network with one logit per row."""

    kept: tuple[str, ...]
    """Names of what `forward` returns besides the logits."""

    def count(self) -> int: ...

    def init(self, rng: np.random.Generator) -> np.ndarray: ...

    raw_bits: int
    """What `forward` with ``raw`` multiplies the logits by, as a power of two: 18 where a truncation is saved, or 0."""

    def forward(self, flat: Array, x: Array, raw: bool = False) -> tuple[Array, ...]:
        """Logits, shape (rows,), then what is kept."""
        ...

    def gradient(self, flat: Array, x: Array, kept: Sequence[Array], error: Array) -> Array:
        """The flat gradient summed over rows; ``error`` is the loss's gradient by the logit, shape (rows,)."""
        ...


def make_network(spec: Spec, features: int) -> Network:
    """The network for rows with ``features`` columns.

    Raises:
        ComponentError: a user's module cannot be imported or built, or does not return one logit per row.
    """
    return DenseNetwork(features, spec) if isinstance(spec, Dense) else ModuleNetwork(features, spec)


class DenseNetwork:
    """Hidden layers with one activation, then one output unit; without hidden layers a logistic regression.

    The backward pass is written by hand (`split.top`): a relu's comparison is made once, and all layers' gradients are
    one matrix product.
    """

    raw_bits = FRACTION_BITS

    def __init__(self, features: int, spec: Dense) -> None:
        self._features, self._spec = features, spec
        relu = spec.activation == "relu"
        quadratic = spec.activation == "quadratic"
        depth = range(len(spec.layers))
        self._sloped = relu or quadratic
        slopes = [f"slope{i}" for i in depth] if self._sloped else []
        self.kept: tuple[str, ...] = (*(f"hidden{i}" for i in depth), *slopes)

    def count(self) -> int:
        return top.count(self._features, self._spec)

    def init(self, rng: np.random.Generator) -> np.ndarray:
        """He-initialised; a logistic regression starts at 0, as is usual."""
        if not self._spec.layers:
            return np.zeros(self.count(), np.float32)
        return top.init_top(self._features, self._spec, rng)

    def forward(self, flat: Array, x: Array, raw: bool = False) -> tuple[Array, ...]:
        layers = top.unpack(flat, self._features, self._spec)
        run = top.forward(layers, self._spec.activation, x)
        slopes = [slope for slope in run.slopes if slope is not None]
        logits = _untruncated([x, *run.hidden][-1], layers[-1]) if raw else run.logits
        return (logits, *run.hidden, *slopes)

    def gradient(self, flat: Array, x: Array, kept: Sequence[Array], error: Array) -> Array:
        depth = len(self._spec.layers)
        hidden = list(kept[:depth])
        slopes: list[Array | None] = list(kept[depth:]) if self._sloped else [None] * depth
        layers = top.unpack(flat, self._features, self._spec)
        back = _deltas(layers, slopes, error)
        return _joint(layers, [x, *hidden], back)


def _untruncated(x: Array, layer: top.Layer) -> Array:
    """2^18 times the output unit's values: a product of integers, which has no rounding protocol. On an SPU only."""
    kernel, bias = (lax.bitcast_convert_type(each, jnp.int32) for each in layer)
    whole = lax.bitcast_convert_type(x, jnp.int32) @ kernel + bias * np.int32(1 << FRACTION_BITS)
    return lax.bitcast_convert_type(whole, jnp.float32)[:, 0]


def _deltas(layers: Sequence[top.Layer], slopes: list[Array | None], error: Array) -> top.Backward:
    """Deltas without the gradient by the features, which nobody needs here."""
    delta, weight = error[:, None], None
    deltas, weights = [delta], [weight]
    for number in range(len(layers) - 1, 0, -1):
        kernel, slope = layers[number][0], slopes[number - 1]
        if number == len(layers) - 1:
            delta, weight = jnp.broadcast_to(error[:, None], (error.shape[0], kernel.shape[0])), kernel[:, 0]
        else:
            scaled = kernel.T if weight is None else (kernel * weight).T
            delta, weight = delta @ scaled, None
        if slope is not None:
            delta = jnp.where(slope, delta, 0.0) if slope.dtype == jnp.bool_ else delta * slope
        deltas.insert(0, delta)
        weights.insert(0, weight)
    return top.Backward(deltas, weights)


_JOINT_LIMIT = 1 << 22
"""Multiplications up to which one product for all layers (a round instead of one per layer) pays."""


def _joint(layers: Sequence[top.Layer], inputs: Sequence[Array], back: top.Backward) -> Array:
    """The flat gradient: each layer's inputs times its deltas, and the deltas' sums for the biases."""
    ends = [0, *itertools.accumulate(each.shape[1] for each in inputs)]
    columns = [0, *itertools.accumulate(each.shape[1] for each in back.deltas)]
    whole = inputs[0].shape[0] * ends[-1] * columns[-1] <= _JOINT_LIMIT and len(inputs) > 1
    product = jnp.concatenate(inputs, axis=1).T @ jnp.concatenate(back.deltas, axis=1) if whole else None
    parts = []
    for number in range(len(layers)):
        delta, weight = back.deltas[number], back.weights[number]
        if product is None:
            block = inputs[number].T @ delta
        else:
            block = product[ends[number] : ends[number + 1], columns[number] : columns[number + 1]]
        block = jnp.concatenate([block, delta.sum(axis=0)[None]])
        parts.append((block if weight is None else block * weight).reshape(-1))
    return jnp.concatenate(parts)


class ModuleNetwork:
    """A user's Flax module that maps rows to one logit each; the backward pass is JAX's own, inside the SPU.

    Only what the SPU can do well belongs into it: matrix products, sums, relu. Nothing kept: the forward pass is made
    again for the gradient, so comparisons count twice.
    """

    kept: tuple[str, ...] = ()
    raw_bits = 0

    def __init__(self, features: int, spec: Module) -> None:
        self._module, self._features, self._path = load_module(spec), features, spec.path
        like = self._variables(jax.random.PRNGKey(0))
        flat, self._restore = ravel_pytree(like)
        self._count = int(flat.size)

    def count(self) -> int:
        return self._count

    def init(self, rng: np.random.Generator) -> np.ndarray:
        key = jax.random.PRNGKey(int(rng.integers(0, 2**32)))
        flat: np.ndarray = np.asarray(ravel_pytree(self._variables(key))[0], np.float32)
        return flat

    def forward(self, flat: Array, x: Array, raw: bool = False) -> tuple[Array, ...]:
        return (self._logits(flat, x),)

    def gradient(self, flat: Array, x: Array, kept: Sequence[Array], error: Array) -> Array:
        _, pull = jax.vjp(lambda values: self._logits(values, x), flat)
        (found,) = pull(error)
        return found

    def _logits(self, flat: Array, x: Array) -> Array:
        found: Array = self._module.apply({"params": self._restore(flat)}, x)
        return found.reshape(-1)

    def _variables(self, key: Any) -> Any:
        zeros = jnp.zeros((2, self._features), jnp.float32)
        variables = self._module.init(key, zeros)
        others = [name for name in variables if name != "params"]
        if others:
            raise ComponentError(f"{self._path} keeps {', '.join(others)} besides parameters; that is not supported.")
        shape = self._module.apply(variables, zeros).shape
        if shape not in ((2,), (2, 1)):
            raise ComponentError(f"{self._path} maps 2 rows to shape {shape}; it must return one logit per row.")
        return variables["params"]
