"""Clipping: a bound on what one record, or one client, can change. Over all layers together, never layer by layer.

Guarantees (``tests/components/privacy/test_clip.py``), for any finite or not finite float32 input:
    - the L2 norm of what comes out is at most ``bound * (1 + 1e-5)``;
    - what is shorter than the bound comes out as it is, bit for bit, and zero stays zero (XLA counts subnormals as 0);
    - an input with a NaN or an infinity becomes zero, so nothing undefined reaches a sum;
    - no input is too large or too small: the norm is taken of values scaled by the largest of them.

Pure JAX; all functions work under `jit` and `vmap`. In the SPU use `vertical.split.fixed_point` instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

SLACK = 1e-5
"""How far rounding in float32 can leave a clipped norm above the bound, as a fraction."""


def global_norm(tree: Any) -> jax.Array:
    """L2 norm over all leaves of a PyTree of floats; infinite where a cell is not finite."""
    leaves = [jnp.ravel(leaf).astype(jnp.float32) for leaf in jax.tree_util.tree_leaves(tree)]
    flat = jnp.concatenate(leaves) if leaves else jnp.zeros(1, jnp.float32)
    largest = jnp.max(jnp.abs(flat), initial=0.0)
    safe = jnp.where(jnp.isfinite(largest) & (largest > 0), largest, 1.0)
    norm = safe * jnp.sqrt(jnp.sum((flat / safe) ** 2))
    return jnp.where(jnp.isfinite(largest), norm, jnp.inf)


def clip_by_norm(tree: Any, bound: float) -> Any:
    """``tree * min(1, bound / norm)``; zeros where a cell of ``tree`` is not finite.

    Args:
        tree: PyTree of float arrays, or one array: a client's update, or one record's gradient.
        bound: L2 radius, positive; static under ``jit`` or a traced scalar.
    """
    norm = global_norm(tree)
    finite = jnp.isfinite(norm)
    factor = jnp.where(finite & (norm > bound), bound / jnp.where(norm > 0, norm, 1.0), 1.0)
    return jax.tree_util.tree_map(lambda leaf: jnp.where(finite, leaf * factor.astype(leaf.dtype), 0), tree)


def clipped_sum(gradients: Any, present: jax.Array, bound: float) -> tuple[Any, jax.Array]:
    """Clip each record's gradient, then add them up: the sensitivity of the sum to one record is ``bound``.

    Args:
        gradients: PyTree of arrays of shape ``(batch, ...)``, one gradient per record.
        present: bool of shape ``(batch,)``; False for rows that only fill a batch up.

    Returns:
        The sum, and how many present records were shorter than the bound (a private count: see `quantile`). Divide by
        the *expected* batch size, never by the realised one, which is private itself.
    """
    clipped = jax.vmap(lambda gradient: clip_by_norm(gradient, bound))(gradients)
    norms = jax.vmap(global_norm)(gradients)

    def total(leaf: jax.Array) -> jax.Array:
        keep = present.reshape((-1,) + (1,) * (leaf.ndim - 1))
        return jnp.sum(jnp.where(keep, leaf, 0), axis=0)

    return jax.tree_util.tree_map(total, clipped), jnp.sum(present & (norms <= bound))


def private_gradient(
    loss: Callable[..., jax.Array], parameters: Any, batch: Any, present: jax.Array, bound: float
) -> tuple[Any, jax.Array]:
    """`clipped_sum` of the gradients of ``loss(parameters, record)`` over the records of a padded Poisson batch.

    Args:
        loss: of a single record; it must not mix records (batch normalisation does).
        batch: PyTree of arrays whose first axis counts records.
    """
    gradients = jax.vmap(jax.grad(loss), in_axes=(None, 0))(parameters, batch)
    return clipped_sum(gradients, present, bound)
