"""One round at one client: all its local steps in a single jitted scan."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from veilflow.components.horizontal.fedavg.batches import Batches
from veilflow.components.horizontal.fedavg.clipped import clipped_sum
from veilflow.components.horizontal.fedavg.layout import layout_of, unflatten
from veilflow.components.horizontal.fedavg.networks import Params, network, row_loss
from veilflow.components.horizontal.fedavg.settings import LocalSettings, ModelSpec

Round = Callable[..., tuple[dict[str, Array], dict[str, Array], Array]]


@lru_cache(maxsize=16)
def round_function(spec: ModelSpec, settings: LocalSettings, clip: float) -> Round:
    """A jitted ``(params, stats, x, y, index, weight, noise, expected) -> (params, stats, mean loss)``.

    Args:
        clip: L2 bound of one row's gradient; 0 trains without clipping and noise.

    The returned function takes ``index``, ``weight`` (steps x width) and ``noise`` (steps x parameters, already scaled;
    one column where there is none) as in `batches`. FedProx pulls towards the parameters that came in. The pull does
    not depend on data, so it is added after the noise.
    """
    net, rule = network(spec), _optimiser(settings)
    clipped = clipped_sum(spec, net, clip) if clip > 0 else None

    def mean_loss(params: Params, stats: Params, x: Array, y: Array, w: Array) -> tuple[Array, dict[str, Array]]:
        logits, changed = net.train(params, stats, x)
        return jnp.sum(row_loss(logits, y) * w) / jnp.maximum(jnp.sum(w), 1.0), changed

    def run(
        params: Params, stats: Params, x: Array, y: Array, index: Array, weight: Array, noise: Array, expected: Array
    ) -> tuple[dict[str, Array], dict[str, Array], Array]:
        start = dict(params)
        layout = layout_of(start)

        def step(carry: Any, batch: Any) -> tuple[Any, tuple[Array, Array]]:
            params, stats, memory = carry
            rows, w, draws = batch
            xb, yb = x[rows], y[rows]
            if clipped is None:
                (loss, stats), grads = jax.value_and_grad(mean_loss, has_aux=True)(params, stats, xb, yb, w)
                loss = loss * jnp.sum(w)
            else:
                summed, loss = clipped(params, xb, yb, w)
                added = unflatten(draws, layout)
                grads = {name: (summed[name] + added[name]) / expected for name in params}
            if settings.proximal:
                grads = {name: g + settings.proximal * (params[name] - start[name]) for name, g in grads.items()}
            changes, memory = rule.update(grads, memory, params)
            return (optax.apply_updates(params, changes), stats, memory), (loss, jnp.sum(w))

        carry = (start, dict(stats), rule.init(start))
        (params, stats, _), (losses, counts) = jax.lax.scan(step, carry, (index, weight, noise))
        return dict(params), dict(stats), jnp.sum(losses) / jnp.maximum(jnp.sum(counts), 1.0)

    jitted: Any = jax.jit(run)
    found: Round = jitted
    return found


def train_round(
    spec: ModelSpec,
    settings: LocalSettings,
    params: Params,
    stats: Params,
    data: tuple[np.ndarray, np.ndarray],
    batches: Batches,
    clip: float = 0.0,
    noise: np.ndarray | None = None,
) -> tuple[dict[str, Array], dict[str, Array], float]:
    """Parameters, statistics and mean training loss after one round.

    Args:
        data: ``x`` (rows x ...) float32 and ``y`` (rows,) float32 with 0 and 1.
        noise: float32 (steps x all parameters), standard deviation ``multiplier * clip``; needed where ``clip`` > 0.
    """
    if (clip > 0) != (noise is not None):
        raise ValueError("per-example clipping needs noise, and noise needs clipping")
    draws = np.zeros((len(batches.index), 1), np.float32) if noise is None else noise
    run = round_function(spec, settings, clip)
    after, changed, loss = run(params, stats, *data, batches.index, batches.weight, draws, batches.expected)
    return after, changed, float(loss)


def _optimiser(settings: LocalSettings) -> optax.GradientTransformation:
    if settings.optimiser == "adam":
        return optax.adam(settings.rate)
    return optax.sgd(settings.rate, momentum=0.9 if settings.optimiser == "momentum" else None)
