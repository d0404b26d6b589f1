"""Sums of per-example gradients, each clipped: the heart of record-level DP-SGD.

Dense networks take the short way: a dense layer's gradient for one row is an outer product of its input ``a`` and its
delta ``d``, so its squared norm is (||a||**2 + 1) * ||d||**2, and no per-row gradient is ever formed. On a mask ``M``
of coordinates it is ``(a**2) @ M @ (d**2)``, exact, for one more matrix product a layer. Where the mask is, but for a
few coordinates, whole rows ``r`` of each kernel, it is at most (||a * r||**2 + 1) * ||d||**2, for next to nothing: who
clips by that clips no less than he must. Everything else goes through `jax.vmap(jax.grad)`.

A row is unusable where its squared norm is not finite: cells that are NaN or infinite, features so long that squares
overflow, layers that overflow. It counts as zeros, and its entries are replaced before any product: zero times infinity
would be NaN in the sum, and take the other rows and the noise along. Whether a row is unusable depends on the row and
the model alone, so the sum's sensitivity to one row stays ``bound``; nobody is told of it. A batch without such rows,
nearly every one, takes the way without replacing (which doubles the time); the result is the same.
"""

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from veilflow.components.horizontal.fedavg.networks import ACTIVATIONS, Network, Params, row_loss
from veilflow.components.horizontal.fedavg.settings import ModelSpec

Mask = Mapping[str, Array]
"""Parameter name -> zeros and ones of its shape, float32: the coordinates that move. A name with `ROWS` behind it: the
flags of a kernel's rows that move, if the norm is to be taken over whole rows."""
ROWS = "/rows"
ClippedSum = Callable[[Params, Array, Array, Array, Array, Mask | None], tuple[dict[str, Array], Array, Array]]
"""(parameters, rows, labels, weights, bound, mask) -> (sum over rows of weight * clipped masked gradient, sum of
weight * loss, sum of weight * vote), a row's vote being 1 where its masked gradient is within the bound, else -1"""


def clipped_sum(spec: ModelSpec, net: Network) -> ClippedSum:
    """The sum whose sensitivity to one row is ``bound`` (L2, all parameters together).

    Only what is on the mask is there to be clipped: a row may move the coordinates that travel by the whole bound.

    Guarantees, in both ways (tests/components/horizontal/test_clipped.py, and test_masked_training.py):
        - equal to masking and clipping `vmap(grad)` row by row;
        - whatever cells a row holds, the sum stays finite and changes by at most ``bound * (1 + 1e-4)`` with it;
        - a row whose gradient is within the bound adds it as it is.
    """
    dense = spec.kind in ("logistic", "mlp") and spec.norm == "none"
    return _dense(spec) if dense else _by_row(net)


def _by_row(net: Network) -> ClippedSum:
    def loss(params: Params, x: Array, y: Array) -> Array:
        return row_loss(net.apply(params, {}, x[None])[0], y)

    def total(
        params: Params, x: Array, y: Array, weight: Array, bound: Array, mask: Mask | None
    ) -> tuple[dict[str, Array], Array, Array]:
        losses, grads = jax.vmap(jax.value_and_grad(loss), (None, 0, 0))(dict(params), x, y)
        if mask is not None:
            grads = {name: g * mask[name] for name, g in grads.items()}
        square = sum(jnp.sum(g.reshape(g.shape[0], -1) ** 2, axis=1) for g in grads.values())
        usable = jnp.isfinite(square)
        factor = jnp.where(usable, _factor(square, bound), 0.0) * weight
        summed = {name: jnp.tensordot(factor, _only(usable, g), axes=1) for name, g in grads.items()}
        return summed, jnp.sum(losses * weight), _votes(square, bound, weight)

    return total


def _dense(spec: ModelSpec) -> ClippedSum:
    depth = 0 if spec.kind == "logistic" else len(spec.layers)
    act = ACTIVATIONS[spec.activation]

    def total(
        params: Params, x: Array, y: Array, weight: Array, bound: Array, mask: Mask | None
    ) -> tuple[dict[str, Array], Array, Array]:
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
        square = sum(_square(layer, a, d, mask) for layer, (a, d) in enumerate(zip(inputs, deltas, strict=True)))
        usable = jnp.isfinite(square)
        factor = jnp.where(usable, _factor(square, bound), 0.0) * weight
        found = jax.lax.cond(
            jnp.all(usable),
            lambda: _products(inputs, deltas, factor),
            lambda: _products([_only(usable, a) for a in inputs], [_only(usable, d) for d in deltas], factor),
        )
        summed = {name: found[name] if mask is None else found[name] * mask[name] for name in params}
        return summed, jnp.sum(row_loss(logit, y) * weight), _votes(square, bound, weight)

    return total


def _products(inputs: Sequence[Array], deltas: Sequence[Array], factor: Array) -> dict[str, Array]:
    found = {}
    for layer, (a, d) in enumerate(zip(inputs, deltas, strict=True)):
        found[f"Dense_{layer}/kernel"] = a.T @ (d * factor[:, None])
        found[f"Dense_{layer}/bias"] = factor @ d  # a sum over the rows would take a tenth of the whole step
    return found


def _square(layer: int, a: Array, d: Array, mask: Mask | None) -> Array:
    """Each row's squared gradient norm in one dense layer, on the mask."""
    if mask is None:
        return (jnp.sum(a * a, axis=1) + 1.0) * jnp.sum(d * d, axis=1)
    kernel, bias = f"Dense_{layer}/kernel", mask[f"Dense_{layer}/bias"]
    whole = mask.get(kernel + ROWS)
    if whole is not None:
        return (jnp.sum(a * a * whole, axis=1) + jnp.max(bias)) * jnp.sum(d * d, axis=1)
    return jnp.sum(((a * a) @ mask[kernel] + bias) * d * d, axis=1)


def rows_on(flags: Mapping[str, np.ndarray], most: float = 1.25) -> dict[str, np.ndarray]:
    """Of each kernel the rows that move, float32, as entries of a `Mask`; empty where a norm over whole rows and whole
    biases would count more than ``most`` times as many coordinates as move."""
    kernels = {name: each for name, each in flags.items() if name.endswith("/kernel") and each.ndim == 2}
    rows: dict[str, np.ndarray] = {
        name + ROWS: np.asarray(each.any(axis=1), np.float32) for name, each in kernels.items()
    }
    covered = sum(float(rows[name + ROWS].sum()) * each.shape[1] for name, each in kernels.items())
    covered += sum(each.size * bool(each.any()) for each in flags.values() if each.ndim == 1)
    return rows if covered <= most * sum(float(each.sum()) for each in flags.values()) else {}


def _votes(square: Array, bound: Array, weight: Array) -> Array:
    # A norm that is not finite compares false, and votes that the bound is too small.
    return jnp.sum(jnp.where(square <= bound**2, weight, -weight))


def _factor(square: Array, bound: Array) -> Array:
    return bound * jax.lax.rsqrt(jnp.maximum(square, bound**2))


def _only(usable: Array, values: Array) -> Array:
    """Zeros in the rows that are not usable."""
    return jnp.where(usable.reshape(-1, *[1] * (values.ndim - 1)), values, 0.0)
