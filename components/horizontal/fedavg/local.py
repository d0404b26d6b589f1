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
from veilflow.components.horizontal.fedavg.clipped import Mask, clipped_sum, rows_on
from veilflow.components.horizontal.fedavg.layout import layout_of, unflatten
from veilflow.components.horizontal.fedavg.networks import Params, network, row_loss
from veilflow.components.horizontal.fedavg.settings import LocalSettings, ModelSpec

Round = Callable[..., tuple[dict[str, Array], dict[str, Array], Array, Array]]


@lru_cache(maxsize=16)
def round_function(spec: ModelSpec, settings: LocalSettings, guarded: bool) -> Round:
    """A jitted ``(params, stats, x, y, index, weight, expected, bound, noise, mask) -> (params, stats, mean loss,
    votes)``.

    Args:
        guarded: each row's gradient is clipped to ``bound``, and noise is added; ``votes`` counts the rows within the
            bound minus those beyond it, over all steps.

    With a ``mask`` only the parameters on it are trained. They alone are clipped, and noise is for them alone.

    The returned function takes ``index``, ``weight`` (steps x width) as in `batches`, and ``noise`` (steps x all
    parameters, already scaled, zero where nothing moves; one column where there is none). FedProx pulls towards the
    parameters that came in. The pull does not depend on data, so it is added after the noise.
    """
    net, rule = network(spec), _optimiser(settings)
    clipped = clipped_sum(spec, net)

    def mean_loss(params: Params, stats: Params, x: Array, y: Array, w: Array) -> tuple[Array, dict[str, Array]]:
        logits, changed = net.train(params, stats, x)
        return jnp.sum(row_loss(logits, y) * w) / jnp.maximum(jnp.sum(w), 1.0), changed

    def run(
        params: Params,
        stats: Params,
        x: Array,
        y: Array,
        index: Array,
        weight: Array,
        expected: Array,
        bound: Array,
        noise: Array,
        mask: Mask | None,
    ) -> tuple[dict[str, Array], dict[str, Array], Array, Array]:
        start = dict(params)
        layout = layout_of(start)

        def step(carry: Any, batch: Any) -> tuple[Any, tuple[Array, Array, Array]]:
            params, stats, memory = carry
            rows, w, draws = batch
            xb, yb, votes = x[rows], y[rows], jnp.zeros(())
            if guarded:
                summed, loss, votes = clipped(params, xb, yb, w, bound, mask)
                added = unflatten(draws, layout)
                grads = {name: (summed[name] + added[name]) / expected for name in params}
            else:
                (loss, stats), grads = jax.value_and_grad(mean_loss, has_aux=True)(params, stats, xb, yb, w)
                loss = loss * jnp.sum(w)
                grads = grads if mask is None else {name: g * mask[name] for name, g in grads.items()}
            if settings.proximal:
                grads = {name: g + settings.proximal * (params[name] - start[name]) for name, g in grads.items()}
            changes, memory = rule.update(grads, memory, params)
            return (optax.apply_updates(params, changes), stats, memory), (loss, jnp.sum(w), votes)

        carry = (start, dict(stats), rule.init(start))
        (params, stats, _), (losses, counts, votes) = jax.lax.scan(step, carry, (index, weight, noise))
        mean = jnp.sum(losses) / jnp.maximum(jnp.sum(counts), 1.0)
        return dict(params), dict(stats), mean, jnp.sum(votes)

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
    moving: np.ndarray | None = None,
) -> tuple[dict[str, Array], dict[str, Array], float, float]:
    """Parameters, statistics, mean training loss and votes (see `round_function`) after one round.

    Args:
        data: ``x`` (rows x ...) float32 and ``y`` (rows,) float32 with 0 and 1.
        clip: L2 bound of one row's gradient; 0 trains without clipping and noise.
        noise: float32 (steps x moving parameters), standard deviation ``multiplier * clip``; needed where ``clip`` > 0.
        moving: positions of the parameters that are trained, sorted int64; None: all.
    """
    if (clip > 0) != (noise is not None):
        raise ValueError("per-example clipping needs noise, and noise needs clipping")
    draws = np.zeros((len(batches.index), 1), np.float32) if noise is None else noise
    run = round_function(spec, settings, clip > 0)
    mask = None if moving is None else _mask_of(params, moving)
    if noise is not None and moving is not None:  # spread here: a step that gathers takes longer
        draws = np.zeros((len(noise), layout_of(params).size), np.float32)
        draws[:, moving] = noise
    after, changed, loss, votes = run(
        params, stats, *data, batches.index, batches.weight, batches.expected, np.float32(clip), draws, mask
    )
    return after, changed, float(loss), float(votes)


def _mask_of(params: Params, moving: np.ndarray) -> dict[str, Any]:
    layout = layout_of(params)
    flags = np.zeros(layout.size, np.float32)
    flags[moving] = 1.0
    mask = unflatten(flags, layout)
    return {**mask, **rows_on({name: np.asarray(each) for name, each in mask.items()})}


def _optimiser(settings: LocalSettings) -> optax.GradientTransformation:
    if settings.optimiser == "adam":
        return optax.adam(settings.rate)
    return optax.sgd(settings.rate, momentum=0.9 if settings.optimiser == "momentum" else None)
