"""Bottoms as networks: dense layers of ours or a user's Flax module behind one interface, for use in the clear."""

import importlib
import json
from collections.abc import Callable, Mapping
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
from veilflow.components.vertical.split.bottom import apply_dense, init_dense, pack_params, unpack_params
from veilflow.components.vertical.split.model import Bottom, Dense, Module


@dataclass(frozen=True)
class Network:
    """``(init, apply)`` over a tree of parameters, and its form at rest."""

    init: Callable[[int, np.random.Generator], Any]
    """(features, randomness) -> parameters"""
    apply: Callable[[Any, Array], Array]
    """(parameters, rows x features) -> rows x width"""
    pack: Callable[[Any], dict[str, np.ndarray]]
    unpack: Callable[[Mapping[str, np.ndarray]], Any]


@lru_cache(maxsize=32)
def network(bottom: Bottom) -> Network:
    """The network of a declaration.

    Raises:
        ComponentError: a user's module cannot be imported or built.
    """
    return _dense(bottom) if isinstance(bottom, Dense) else _flax(bottom)


def _dense(spec: Dense) -> Network:
    return Network(
        init=lambda features, rng: init_dense(features, spec, rng),
        apply=lambda params, x: apply_dense(params, spec, x),
        pack=pack_params,
        unpack=lambda arrays: unpack_params(arrays, len(spec.layers)),
    )


def _flax(spec: Module) -> Network:
    module = load_module(spec)

    def init(features: int, rng: np.random.Generator) -> Any:
        key = jax.random.PRNGKey(rng.integers(0, 2**32))
        variables = module.init(key, jnp.zeros((2, features), jnp.float32))
        others = [name for name in variables if name != "params"]
        if others:
            raise ComponentError(
                f"{spec.path} keeps {', '.join(others)} besides its parameters; that is not supported."
            )
        shape = module.apply(variables, jnp.zeros((2, features), jnp.float32)).shape
        if len(shape) != 2 or shape[0] != 2:
            raise ComponentError(f"{spec.path} maps 2 rows to shape {shape}; it must return rows x embedding.")
        return variables["params"]

    return Network(
        init=init,
        apply=lambda params, x: module.apply({"params": params}, x),
        pack=lambda params: {key: np.asarray(value) for key, value in flatten_dict(params, sep="/").items()},
        unpack=lambda arrays: unflatten_dict({key: jnp.asarray(value) for key, value in arrays.items()}, sep="/"),
    )


def load_module(spec: Module) -> nn.Module:
    """Import and build a user's Flax module.

    Raises:
        ComponentError: no such module or class, not a Flax module, or arguments it does not take.
    """
    package, _, name = spec.path.partition(":")
    if not name:
        raise ComponentError(f"'{spec.path}' is not of the form package.module:Class.")
    try:
        found = getattr(importlib.import_module(package), name)
    except (ImportError, AttributeError) as problem:
        raise ComponentError(
            f"'{spec.path}' cannot be imported ({type(problem).__name__}); install its package at every feature party."
        ) from None
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ComponentError(f"'{spec.path}' is not a flax.linen module.")
    try:
        return found(**json.loads(spec.arguments))
    except (TypeError, ValueError):
        raise ComponentError(
            f"'{spec.path}' does not take the arguments it was given; they must be a JSON object."
        ) from None
