"""`release: per_example`: the top model, the label and the loss in the clear at the label's holder.

The bottoms' owners send embeddings and get each row's gradient back. That gradient is (p - y) times a vector, so its
sign is the label. `label_leak` measures how well a feature party reads it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from veilflow.components.training.history import auc
from veilflow.components.training.parts import Part
from veilflow.components.vertical.split import top
from veilflow.components.vertical.split.model import Bottom, Dense
from veilflow.components.vertical.split.network import network
from veilflow.components.vertical.split.owner import Owner, embed, restore_owner, transform, updater
from veilflow.components.vertical.split.settings import Optimiser


@dataclass(frozen=True)
class LabelHolder:
    """The label's holder: its own rows and bottom, and the top model."""

    owner: Owner
    spec: Dense
    flat: Array
    """top parameters"""
    memory: Any
    optimiser: Optimiser
    loss: float
    """summed over the rows of the epoch so far"""


def make_label_holder(
    owner: Owner, spec: Dense, width: int, optimiser: Optimiser, rng: np.random.Generator
) -> LabelHolder:
    """Before the first step; ``width`` is that of all embeddings together."""
    flat = jnp.asarray(top.init_top(width, spec, rng))
    return LabelHolder(owner, spec, flat, transform(optimiser).init(flat), optimiser, 0.0)


def learn(
    holder: LabelHolder, rows: np.ndarray, position: int, others: Sequence[np.ndarray]
) -> tuple[LabelHolder, list[np.ndarray]]:
    """One step: the holder after it, and per other party the gradient of each row's loss by its embedding, / rows.

    Args:
        position: where the holder's own embedding stands among all (ignored where it has no features).
        others: the other parties' embeddings of these rows, in model order.
    """
    owner = holder.owner
    assert owner.label is not None
    step = _step(holder.spec, owner.bottom, position, owner.optimiser, holder.optimiser)
    state = (holder.flat, holder.memory, owner.params, owner.memory)
    state, loss, gradients = step(state, owner.x[rows], owner.label[rows], list(others))
    flat, memory, params, own_memory = state
    owner = replace(owner, params=params, memory=own_memory)
    made = replace(holder, owner=owner, flat=flat, memory=memory, loss=holder.loss + loss)
    return made, [np.asarray(each) for each in gradients]


def follow(owner: Owner, rows: np.ndarray, gradient: np.ndarray) -> Owner:
    """Another party after it got its rows' gradients back."""
    assert owner.bottom is not None
    params, memory = _follow(owner.bottom, owner.optimiser)(owner.params, owner.memory, owner.x[rows], gradient)
    return replace(owner, params=params, memory=memory)


def new_epoch(holder: LabelHolder) -> LabelHolder:
    """The holder with its running loss at 0."""
    return replace(holder, loss=0.0)


def holder_logits(holder: LabelHolder, x: np.ndarray, position: int, others: Sequence[np.ndarray]) -> np.ndarray:
    """Logits of rows of which the holder has ``x`` and the others sent embeddings."""
    parts = list(others)
    if holder.owner.bottom is not None:
        parts.insert(position, embed(holder.owner.bottom, holder.owner.params, x))
    return logits(holder.flat, holder.spec, parts)


def logits(flat: Any, spec: Dense, embeddings: Sequence[np.ndarray]) -> np.ndarray:
    """Logits of rows from all their embeddings, in model order."""
    return np.asarray(_score(spec)(flat, list(embeddings)))


def top_part(holder: LabelHolder, with_memory: bool) -> Part:
    """The top model at rest; for a checkpoint with the optimiser's memory."""
    leaves = jax.tree_util.tree_leaves(holder.memory) if with_memory else []
    memory = {f"memory/{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
    return {"memory": len(leaves)}, {"top": np.asarray(holder.flat), **memory}


def restore_holder(holder: LabelHolder, bottom: Part, stored_top: Part) -> LabelHolder:
    """The holder with the parameters and memories of stored parts."""
    document, arrays = stored_top
    tree = jax.tree_util.tree_structure(holder.memory)
    leaves = [jnp.asarray(arrays[f"memory/{i}"]) for i in range(document["memory"])]
    memory = jax.tree_util.tree_unflatten(tree, leaves) if leaves else holder.memory
    owner = restore_owner(holder.owner, bottom)
    return replace(holder, owner=owner, flat=jnp.asarray(arrays["top"]), memory=memory)


def label_leak(gradients: np.ndarray, label: np.ndarray, known: int) -> float:
    """AUC of telling labels by the gradients that a feature party receives in one batch.

    The attack needs no training: rows of both classes point in two opposite directions, so the leading singular vector
    of the normalised gradients separates them, and one known positive row tells which side is which. (The plain cosine
    with the known row is weaker: hidden units that are off for that row blind it.)

    Args:
        gradients: rows x width, as a feature party receives them.
        label: the true labels.
        known: position of the positive row the attacker knows.
    """
    directions = gradients / (np.linalg.norm(gradients, axis=1, keepdims=True) + 1e-30)
    leading = np.linalg.svd(directions, full_matrices=False)[2][0]
    side = directions @ leading
    rest = np.arange(len(label)) != known
    return auc(label[rest], (side * np.sign(side[known]))[rest])


@lru_cache(maxsize=16)
def _step(
    spec: Dense, bottom: Bottom | None, position: int, bottom_optimiser: Optimiser, top_optimiser: Optimiser
) -> Callable[..., Any]:
    update_top, update_bottom = updater(top_optimiser), updater(bottom_optimiser)

    def loss_of(flat: Array, params: Any, others: list[Array], x: Array, label: Array) -> Array:
        parts = list(others)
        if bottom is not None:
            parts.insert(position, network(bottom).apply(params, x))
        joined = jnp.concatenate(parts, axis=1)
        z = top.forward(top.unpack(flat, joined.shape[1], spec), spec.activation, joined).logits
        return jnp.mean(jax.nn.softplus(z) - label * z)

    def step(state: Any, x: Array, label: Array, others: list[Array]) -> Any:
        flat, memory, params, own_memory = state
        loss, (at_flat, at_params, at_others) = jax.value_and_grad(loss_of, (0, 1, 2))(flat, params, others, x, label)
        flat, memory = update_top(flat, memory, at_flat)
        if bottom is not None:
            params, own_memory = update_bottom(params, own_memory, at_params)
        return (flat, memory, params, own_memory), loss * label.shape[0], at_others

    jitted: Callable[..., Any] = jax.jit(step)
    return jitted


@lru_cache(maxsize=16)
def _follow(bottom: Bottom, optimiser: Optimiser) -> Callable[..., Any]:
    update = updater(optimiser)

    def step(params: Any, memory: Any, x: Array, gradient: Array) -> Any:
        _, pullback = jax.vjp(lambda p: network(bottom).apply(p, x), params)
        return update(params, memory, pullback(gradient)[0])

    jitted: Callable[..., Any] = jax.jit(step)
    return jitted


@lru_cache(maxsize=16)
def _score(spec: Dense) -> Callable[..., Array]:
    def score(flat: Array, embeddings: list[Array]) -> Array:
        joined = jnp.concatenate(embeddings, axis=1)
        return top.forward(top.unpack(flat, joined.shape[1], spec), spec.activation, joined).logits

    jitted: Callable[..., Array] = jax.jit(score)
    return jitted
