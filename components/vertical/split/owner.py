"""What a data holder does in the clear with its own bottom: feed a batch, apply an opened gradient, embed rows."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from veilflow.components.errors import ComponentError
from veilflow.components.training.parts import Part
from veilflow.components.vertical.split.bottom import trace_dense, unpack_gradient
from veilflow.components.vertical.split.fixed_point import LIMIT
from veilflow.components.vertical.split.model import Bottom, Dense
from veilflow.components.vertical.split.network import network
from veilflow.components.vertical.split.noise import gaussian
from veilflow.components.vertical.split.settings import Optimiser


@dataclass(frozen=True)
class Owner:
    """A party's private state: its rows, its bottom (None where it has no features), its optimiser's memory."""

    x: np.ndarray
    """rows x features, float32"""
    label: np.ndarray | None
    bottom: Bottom | None
    params: Any
    memory: Any
    """optax state"""
    optimiser: Optimiser


def make_owner(
    x: np.ndarray, label: np.ndarray | None, bottom: Bottom | None, optimiser: Optimiser, rng: np.random.Generator
) -> Owner:
    """A holder before the first step; ``rng`` comes from the operating system's randomness except in tests."""
    params = network(bottom).init(x.shape[1], rng) if bottom is not None else []
    return Owner(x, label, bottom, params, transform(optimiser).init(params), optimiser)


def step_feeds(owner: Owner, party: str, rows: np.ndarray, length: int, deviation: float) -> dict[str, np.ndarray]:
    """Everything this holder infeeds for one batch.

    Args:
        rows: positions of the batch's rows.
        length: of the noise that it adds to the sum; 0: none.
        deviation: of that noise.
    """
    feeds: dict[str, np.ndarray] = {}
    if isinstance(owner.bottom, Dense):
        traced = trace_dense(owner.bottom)(owner.params, owner.x[rows])
        feeds = {f"{party}/{name}": np.asarray(value) for name, value in traced.items()}
        require_numbers(feeds[f"{party}/embedding"])
    if owner.label is not None:
        feeds["label"] = owner.label[rows]
    return feeds | ({f"noise/{party}": gaussian(length, deviation)} if length else {})


def saturated(embedding: np.ndarray) -> np.ndarray:
    """Embeddings as the SPU gets them, in training (`bottom.trace_dense`) and after it: cut to what it can square.

    Raises:
        ComponentError: see `require_numbers`.
    """
    require_numbers(embedding)
    return np.asarray(np.clip(embedding, -LIMIT, LIMIT))


def require_numbers(embedding: np.ndarray) -> None:
    """Refuse embeddings that are no numbers.

    Raises:
        ComponentError: without the value.
    """
    if not np.isfinite(embedding).all():
        raise ComponentError(
            "a bottom gives values that are no numbers. Scale the features (data/scale) or lower learning_rate."
        )


def apply_opened(owner: Owner, flat: np.ndarray, rows: int) -> Owner:
    """The holder after an optimiser step with the opened sum over ``rows`` rows."""
    assert isinstance(owner.bottom, Dense), "sums are opened for dense bottoms only"
    gradient = unpack_gradient(flat / rows, owner.x.shape[1], owner.bottom)
    return apply_gradient(owner, gradient)


def apply_gradient(owner: Owner, gradient: Any) -> Owner:
    """The holder after an optimiser step."""
    params, memory = updater(owner.optimiser)(owner.params, owner.memory, gradient)
    return replace(owner, params=params, memory=memory)


def embed(bottom: Bottom, params: Any, x: np.ndarray) -> np.ndarray:
    """Embeddings of ``x``: rows x width, float32."""
    return np.asarray(embedder(bottom)(params, x), dtype=np.float32)


def owner_part(owner: Owner, with_memory: bool) -> Part:
    """The bottom at rest; for a checkpoint with the optimiser's memory."""
    arrays = {f"params/{k}": v for k, v in (network(owner.bottom).pack(owner.params) if owner.bottom else {}).items()}
    leaves = jax.tree_util.tree_leaves(owner.memory) if with_memory else []
    return {"memory": len(leaves)}, arrays | {f"memory/{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}


def restore_owner(owner: Owner, part: Part) -> Owner:
    """The holder with the parameters (and the memory, where there is one) of a stored part."""
    document, arrays = part
    if owner.bottom is None:
        return owner
    params = stored_params(owner.bottom, part)
    tree = jax.tree_util.tree_structure(owner.memory)
    leaves = [jnp.asarray(arrays[f"memory/{i}"]) for i in range(document["memory"])]
    memory = jax.tree_util.tree_unflatten(tree, leaves) if leaves else owner.memory
    return replace(owner, params=params, memory=memory)


def stored_params(bottom: Bottom, part: Part) -> Any:
    """The bottom's parameters in a stored part."""
    arrays = {key.removeprefix("params/"): value for key, value in part[1].items() if key.startswith("params/")}
    return network(bottom).unpack(arrays)


@lru_cache(maxsize=32)
def embedder(bottom: Bottom) -> Callable[[Any, Any], jax.Array]:
    """Jitted forward pass."""
    jitted: Callable[[Any, Any], jax.Array] = jax.jit(network(bottom).apply)
    return jitted


def transform(optimiser: Optimiser) -> optax.GradientTransformation:
    """The optax optimiser of that name."""
    if optimiser.name == "adam":
        return optax.adam(optimiser.rate)
    return optax.sgd(optimiser.rate, momentum=0.9 if optimiser.name == "momentum" else None)


@lru_cache(maxsize=32)
def updater(optimiser: Optimiser) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """Jitted optimiser step: (parameters, memory, gradient) -> (parameters, memory)."""
    rule = transform(optimiser)

    def update(params: Any, memory: Any, gradient: Any) -> tuple[Any, Any]:
        changes, memory = rule.update(gradient, memory, params)
        return jax.tree_util.tree_map(jnp.add, params, changes), memory

    jitted: Callable[[Any, Any, Any], tuple[Any, Any]] = jax.jit(update)
    return jitted
