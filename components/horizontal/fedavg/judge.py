"""The party with the agreed reference rows: it watches the global model, and scores updates where it may see them."""

import secrets
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from veilflow.components.horizontal.fedavg import contribution, robust
from veilflow.components.horizontal.fedavg.client import Client, common, follow, logits
from veilflow.components.horizontal.fedavg.codec import decode, release_of
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
    noise: float,
    mask: np.ndarray | None,
    names: Sequence[str],
    *encoded: np.ndarray,
    stretch: float = 1.0,
) -> dict[str, Any]:
    """Faults, scores and the client to blame for a bad round, as published: names, scores, words.

    Args:
        vector: the global model the updates start from.
        encoded: each client's update, as it would be summed.
        stretch: see `replica.stretch`.
    """
    settings: Settings = judge.settings
    guard = settings.guard
    size = vector.size
    release = release_of(settings, size, noise)
    ends = -1 if settings.privacy.voting else None  # a vote is no part of the update
    updates = {
        name: decode(each[:ends], release, mask, size) * np.float32(stretch)
        for name, each in zip(names, encoded, strict=True)
    }
    # Noise of unit `client` lengthens honest updates: there only the agreed bound on entries can be held against them.
    bound = float("inf") if release.multiplier else guard.update_norm
    wanted = reference_update(judge, vector) if guard.least_cosine > -1 else None
    wrong = robust.faults(updates, bound, guard.least_cosine, wanted)
    usable = {name: update for name, update in updates.items() if name not in wrong}
    found: dict[str, Any] = {"faults": wrong, "scores": {}, "blame": ""}
    if len(usable) < 2:
        return found

    def loss(point: np.ndarray) -> float:
        return figures(judge, point)["valid_loss"]

    if settings.weighting.by == "contribution":
        found["scores"] = score(settings, usable, vector, loss)
    if guard.veto:
        found["blame"] = robust.blame(usable, vector, loss)[0]
    return found


def score(settings: Settings, updates: Mapping[str, np.ndarray], start: np.ndarray, loss: Any) -> dict[str, float]:
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
    return contribution.share_among_copies(found, updates)


def with_local_layers(judge: Client, own: Client) -> Client:
    """The judge looking through the layers that stay at the same party as a client."""
    return follow(Client(judge.spec, judge.settings, judge.data, own.params, own.stats), common(judge))
