"""The party with the agreed reference rows: it watches the global model, and scores updates where it may see them."""

import secrets
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from veilflow.components.horizontal.fedavg import contribution, robust
from veilflow.components.horizontal.fedavg.client import Client, common, follow, logits
from veilflow.components.horizontal.fedavg.codec import Code, Share, decode, longest
from veilflow.components.horizontal.fedavg.layout import flatten
from veilflow.components.horizontal.fedavg.networks import Params, network, row_loss
from veilflow.components.horizontal.fedavg.settings import EXACT_CLIENTS, ModelSpec, Settings
from veilflow.components.training.history import auc, log_loss

_PERMUTATIONS = 30


def figures(judge: Client, vector: np.ndarray) -> dict[str, float]:
    """Loss and AUC of the global model on the reference rows."""
    assert judge.data is not None
    found = logits(follow(judge, vector), judge.data[0])
    if not np.isfinite(found).all():
        return {"valid_loss": 1e9, "valid_auc": 0.5}
    return {"valid_loss": log_loss(judge.data[1], found), "valid_auc": auc(judge.data[1], found)}


def reference_update(judge: Client, vector: np.ndarray) -> np.ndarray:
    """Where the reference rows would move the global model: minus the gradient of their loss, float32, shape (d,)."""
    assert judge.data is not None
    seeing, (x, y) = follow(judge, vector), judge.data
    slope = _slope(judge.spec)(seeing.params, seeing.stats, jnp.asarray(x), jnp.asarray(y))
    return -np.asarray(flatten(slope, seeing.layout), np.float32)


@lru_cache(maxsize=16)
def _slope(spec: ModelSpec) -> Any:
    apply = network(spec).apply

    def loss(params: Params, stats: Params, x: Array, y: Array) -> Array:
        return jnp.mean(row_loss(apply(params, stats, x), y))

    return jax.jit(jax.grad(loss))


def examine(
    judge: Client,
    vector: np.ndarray,
    code: Code,
    shares: Mapping[str, Share],
    *encoded: np.ndarray,
) -> dict[str, Any]:
    """Faults, scores and the client to blame for a bad round, as published: names, scores, words.

    Args:
        vector: the global model the updates start from.
        shares: of the clients whose updates these are, in their order.
        encoded: each client's update, as it would be summed, without a vote.
    """
    settings: Settings = judge.settings
    guard = settings.guard
    updates, bounds, rounding = {}, {}, {}
    for (name, share), each in zip(shares.items(), encoded, strict=True):
        updates[name] = decode(code, each, {name: share})
        # A small weight makes a shorter vector, so rounding may lengthen the update behind it by more.
        bounds[name] = longest(code.release, share)
        rounding[name] = code.release.size * (code.release.grid.step / share.factor) ** 2 / 4
    wanted = reference_update(judge, vector) if guard.least_cosine > -1 else None
    wrong = robust.faults(updates, bounds, guard.least_cosine, wanted, rounding)
    usable = {name: update for name, update in updates.items() if name not in wrong}
    found: dict[str, Any] = {"faults": wrong, "scores": {}, "blame": ""}
    if len(usable) < 2:
        return found

    def loss(point: np.ndarray) -> float:
        return figures(judge, point)["valid_loss"]

    if settings.weighting.by == "contribution":
        found["scores"] = score(settings, usable, vector, loss, rounding)
    if guard.veto:
        found["blame"] = robust.blame(usable, vector, loss)[0]
    return found


def score(
    settings: Settings,
    updates: Mapping[str, np.ndarray],
    start: np.ndarray,
    loss: Any,
    rounding: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Scores by the chosen method; copies share one client's score."""
    clients, value = list(updates), contribution.coalition_value(updates, start, loss)
    method = settings.weighting.method
    if method == "leave_one_out":
        return contribution.leave_one_out(clients, value)
    if method == "quality":
        found = contribution.alone(clients, value)
    elif method == "shapley" and len(clients) <= EXACT_CLIENTS:
        found = contribution.shapley(clients, value)
    else:
        rng = np.random.default_rng(secrets.randbits(128))
        found = contribution.monte_carlo(clients, value, _PERMUTATIONS, rng, 1e-4)
    return contribution.share_among_copies(found, updates, rounding=rounding)


def with_local_layers(judge: Client, own: Client) -> Client:
    """The judge looking through the layers that stay at the same party as a client."""
    return follow(Client(judge.spec, judge.settings, judge.data, own.params, own.stats), common(judge))
