"""Bottoms as networks: dense layers of ours or a user's Flax module behind one interface, for use in the clear."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import Array

from veilflow.components.errors import ComponentError
from veilflow.components.training.user_modules import Module, load_module
from veilflow.components.vertical.split.bottom import apply_dense, init_dense, pack_params, unpack_params
from veilflow.components.vertical.split.model import Bottom, Dense


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
