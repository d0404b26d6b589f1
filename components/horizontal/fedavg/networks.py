"""The models that clients train: logistic regression, dense networks, a small CNN, or a user's own Flax module.

All are binary classifiers: a batch of inputs in, one logit per row out. Parameters are a flat mapping from
``layer/name`` to an array, in sorted order, so that every party agrees on what position means what.
"""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import Array

from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg.settings import ModelSpec
from veilflow.components.training.user_modules import Module, load_module

Params = Mapping[str, Array]

ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "gelu": jax.nn.gelu,
    "sigmoid": jax.nn.sigmoid,
}


class Mlp(nn.Module):
    """Dense layers and one logit; without layers a logistic regression."""

    layers: Sequence[int]
    activation: str
    norm: str

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        x = x.reshape(x.shape[0], -1)
        for size in self.layers:
            x = ACTIVATIONS[self.activation](_normed(nn.Dense(size)(x), self.norm, train))
        return nn.Dense(1)(x)[:, 0]


class Cnn(nn.Module):
    """3x3 convolutions of stride 2, one per entry of ``layers``, a mean over positions' quarters and one logit."""

    layers: Sequence[int]
    activation: str
    norm: str

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        x = x if x.ndim == 4 else x[..., None]
        for channels in self.layers:
            x = nn.Conv(channels, (3, 3), strides=(2, 2))(x)
            x = ACTIVATIONS[self.activation](_normed(x, self.norm, train))
        return nn.Dense(1)(x.reshape(x.shape[0], -1))[:, 0]


def _normed(x: Array, norm: str, train: bool) -> Array:
    if norm == "batch":
        return nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
    return nn.LayerNorm()(x) if norm == "layer" else x


@dataclass(frozen=True)
class Network:
    """A model as pure functions on flat parameters."""

    init: Callable[[tuple[int, ...], np.random.Generator], tuple[dict[str, Array], dict[str, Array]]]
    """(shape of one row, randomness) -> (parameters, running statistics)"""
    train: Callable[[Params, Params, Array], tuple[Array, dict[str, Array]]]
    """(parameters, statistics, rows) -> (logits, new statistics)"""
    apply: Callable[[Params, Params, Array], Array]
    """(parameters, statistics, rows) -> logits"""


@lru_cache(maxsize=16)
def network(spec: ModelSpec) -> Network:
    """The network of a declaration.

    Raises:
        ComponentError: a user's module cannot be imported or built.
    """
    module = _module(spec)
    phased = "train" in inspect.signature(type(module).__call__).parameters

    def variables(params: Params, stats: Params) -> dict[str, Any]:
        tree = {"params": _tree(params)}
        return {**tree, "batch_stats": _tree(stats)} if stats else tree

    def init(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[dict[str, Array], dict[str, Array]]:
        key = np.array([0, rng.integers(0, 2**32)], np.uint32)  # as `jax.random.PRNGKey`, which compiles a program
        rows = jax.ShapeDtypeStruct((2, *shape), np.float32)
        if spec.kind == "module":  # its own initialisers; compiled as a whole, which takes a third less at every party
            made = jax.jit(module.init)(key, np.zeros(rows.shape, rows.dtype))
        else:  # only shapes are traced, nothing is compiled
            made = _drawn(jax.eval_shape(module.init, key, rows), rng)
        strange = sorted(set(made) - {"params", "batch_stats"})
        if strange:
            raise ComponentError(
                f"{spec.path} keeps {', '.join(strange)} besides parameters; keep state in 'batch_stats' alone."
            )
        if jax.eval_shape(lambda tree, x: _logits(module.apply(tree, x)), made, rows).shape != (2,):
            raise ComponentError(f"{spec.path or spec.kind} must return one logit per row, shape (rows,) or (rows, 1).")
        return _flat(made["params"]), _flat(made.get("batch_stats", {}))

    def train(params: Params, stats: Params, x: Array) -> tuple[Array, dict[str, Array]]:
        named = {"train": True} if phased else {}
        if not stats:
            return _logits(module.apply(variables(params, stats), x, **named)), {}
        found, changed = module.apply(variables(params, stats), x, mutable=["batch_stats"], **named)
        return _logits(found), _flat(changed["batch_stats"])

    def apply(params: Params, stats: Params, x: Array) -> Array:
        return _logits(module.apply(variables(params, stats), x))

    return Network(init, train, jax.jit(apply))


def _drawn(shapes: Any, rng: np.random.Generator) -> Any:
    """Kernels normal with deviation 1 / sqrt(inputs) (Flax cuts them at two), scales and variances 1, the rest 0."""

    def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
        if name == "kernel":
            return rng.normal(0, np.prod(shape[:-1]) ** -0.5, shape).astype(np.float32)
        return np.full(shape, 1.0 if name in ("scale", "var") else 0.0, np.float32)

    flat = flatten_dict(shapes)
    return unflatten_dict({path: draw(path[-1], each.shape) for path, each in flat.items()})


def _module(spec: ModelSpec) -> nn.Module:
    if spec.kind == "module":
        json.loads(spec.arguments)
        return load_module(Module(spec.path, spec.arguments))
    layers = () if spec.kind == "logistic" else spec.layers
    kind = Cnn if spec.kind == "cnn" else Mlp
    return kind(tuple(layers), spec.activation, spec.norm)


def _logits(found: Array) -> Array:
    return found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found


def _flat(tree: Any) -> dict[str, Array]:
    flat = flatten_dict(dict(tree), sep="/")
    return {name: flat[name] for name in sorted(flat)}


def _tree(flat: Params) -> Any:
    return unflatten_dict(dict(flat), sep="/")


def row_loss(logit: Array, label: Array) -> Array:
    """Binary cross-entropy per row, stable for large logits."""
    return jax.nn.softplus(logit) - label * logit
