"""Sums of per-example gradients, each clipped: the heart of record-level DP-SGD.

Dense networks take the short way: a dense layer's gradient for one row is an outer product of its input and its delta,
so its squared norm is (||input||**2 + 1) * ||delta||**2, and no per-row gradient is ever formed. Everything else goes
through `jax.vmap(jax.grad)`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from veilflow.components.horizontal.fedavg.networks import ACTIVATIONS, Network, Params, row_loss
from veilflow.components.horizontal.fedavg.settings import ModelSpec

ClippedSum = Callable[[Params, Array, Array, Array], tuple[dict[str, Array], Array]]
"""(parameters, rows, labels, weights) -> (sum over rows of weight * clipped gradient, sum of weight * loss)"""


def clipped_sum(spec: ModelSpec, net: Network, bound: float) -> ClippedSum:
    """The sum whose sensitivity to one row is ``bound`` (L2, all parameters together).

    Guarantees (tests/components/horizontal/test_clipped.py): equal to clipping `vmap(grad)` row by row; a row whose
    gradient is not finite counts as zero where gradients are formed row by row.
    """
    dense = spec.kind in ("logistic", "mlp") and spec.norm == "none"
    return _dense(spec, bound) if dense else _by_row(net, bound)


def _by_row(net: Network, bound: float) -> ClippedSum:
    def loss(params: Params, x: Array, y: Array) -> Array:
        return row_loss(net.apply(params, {}, x[None])[0], y)

    def total(params: Params, x: Array, y: Array, weight: Array) -> tuple[dict[str, Array], Array]:
        losses, grads = jax.vmap(jax.value_and_grad(loss), (None, 0, 0))(dict(params), x, y)
        square = sum(jnp.sum(g.reshape(g.shape[0], -1) ** 2, axis=1) for g in grads.values())
        factor = _factor(square, bound) * weight
        usable = jnp.isfinite(square)
        summed = {name: jnp.tensordot(factor, jnp.where(_like(usable, g), g, 0.0), axes=1) for name, g in grads.items()}
        return summed, jnp.sum(losses * weight)

    return total


def _dense(spec: ModelSpec, bound: float) -> ClippedSum:
    depth = 0 if spec.kind == "logistic" else len(spec.layers)
    act = ACTIVATIONS[spec.activation]

    def total(params: Params, x: Array, y: Array, weight: Array) -> tuple[dict[str, Array], Array]:
        x = x.reshape(x.shape[0], -1)
        inputs, pullbacks = [], []
        for layer in range(depth + 1):
            inputs.append(x)
            z = x @ params[f"Dense_{layer}/kernel"] + params[f"Dense_{layer}/bias"]
            if layer < depth:
                x, pullback = jax.vjp(act, z)
                pullbacks.append(pullback)
        logit = z[:, 0]
        delta = (jax.nn.sigmoid(logit) - y)[:, None]
        deltas = [delta]
        for layer in range(depth, 0, -1):
            (delta,) = pullbacks[layer - 1](delta @ params[f"Dense_{layer}/kernel"].T)
            deltas.insert(0, delta)
        square = sum(
            (jnp.sum(a * a, axis=1) + 1.0) * jnp.sum(d * d, axis=1) for a, d in zip(inputs, deltas, strict=True)
        )
        factor = (_factor(square, bound) * weight)[:, None]
        found = {}
        for layer, (a, d) in enumerate(zip(inputs, deltas, strict=True)):
            scaled = d * factor
            found[f"Dense_{layer}/kernel"] = a.T @ scaled
            found[f"Dense_{layer}/bias"] = jnp.sum(scaled, axis=0)
        return {name: found[name] for name in params}, jnp.sum(row_loss(logit, y) * weight)

    return total


def _factor(square: Array, bound: float) -> Array:
    return bound * jax.lax.rsqrt(jnp.maximum(square, bound**2))


def _like(flags: Array, values: Array) -> Array:
    return flags.reshape(-1, *[1] * (values.ndim - 1))
