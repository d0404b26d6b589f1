"""A client's side of a round, as functions on its own state; nothing here knows a party."""

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg import votes
from veilflow.components.horizontal.fedavg.arrays import Data
from veilflow.components.horizontal.fedavg.batches import Batches, poisson, shuffled
from veilflow.components.horizontal.fedavg.codec import Code, Share, shorten
from veilflow.components.horizontal.fedavg.layout import Layout, flatten, layout_of, unflatten
from veilflow.components.horizontal.fedavg.local import train_round
from veilflow.components.horizontal.fedavg.networks import network
from veilflow.components.horizontal.fedavg.randomness import SecretStream
from veilflow.components.horizontal.fedavg.settings import ModelSpec, Settings
from veilflow.components.privacy.release import protect
from veilflow.components.training.tally import Tally

Part = tuple[dict[str, Any], dict[str, np.ndarray]]
_LONG = 1e15
"""Squares of numbers up to this, and sums of them, are finite in single precision."""


@dataclass(frozen=True)
class Client:
    """What a client keeps between rounds."""

    spec: ModelSpec
    settings: Settings
    data: Data | None
    """None at a party that only holds the model."""
    params: dict[str, Any]
    stats: dict[str, Any]

    @property
    def layout(self) -> Layout:
        """Of what leaves the client."""
        return layout_of(self.params, self.spec.local_layers)


def make_client(
    spec: ModelSpec, settings: Settings, data: Data | None, shape: tuple[int, ...], rng: np.random.Generator
) -> Client:
    """A client with fresh parameters; `follow` replaces the common ones.

    Raises:
        ComponentError: a module of the user's with running statistics, under unit ``record``.
    """
    params, stats = network(spec).init(shape, rng)
    if stats and settings.privacy.unit == "record":
        raise ComponentError(
            f"{spec.path or spec.kind} keeps running statistics (batch normalisation): they mix the rows of a batch, "
            "so no single row's gradient can be clipped. Use layer normalisation, or privacy/unit: client or none."
        )
    return Client(spec, settings, data, params, stats)


def common(client: Client) -> np.ndarray:
    """The common parameters as one vector, float32."""
    return np.asarray(flatten(client.params, client.layout), np.float32)


def follow(client: Client, vector: np.ndarray) -> Client:
    """The client with the common parameters set to ``vector``."""
    if vector.shape != (client.layout.size,):
        raise ComponentError(
            f"the global model has {vector.size} parameters, the model here {client.layout.size}: install the same "
            "VeilFlow and net/module at all parties."
        )
    return replace(client, params={**client.params, **unflatten(vector, client.layout)})


def learn(
    client: Client,
    vector: np.ndarray,
    noise: float,
    tally: Tally,
    mask: np.ndarray | None = None,
    clip: float | None = None,
) -> tuple[Client, np.ndarray | None, dict[str, Any]]:
    """One round: the client after it, its update (which stays here), and what may be said of it.

    A training that went astray (entries that are not finite) leaves the client as it was. Without privacy there is then
    no update. With it there is one that goes the way of every other, as nobody says who is in a round: under unit
    ``record`` the noise of its steps alone, as if there were no rows; under unit ``client`` zeros, which `encode`
    noises. That it went astray is for this client's eyes only.

    Args:
        vector: the global model.
        noise: multiplier of this round's DP-SGD; used where ``privacy.unit`` is ``record``.
        tally: counts what really happened; stays here.
        mask: positions in ``vector`` that travel this round; used where `Compress.trains_masked`.
        clip: this round's bound where ``privacy.adaptive_clip`` moves it. The update then has one entry more, the vote.
    """
    assert client.data is not None, "only clients with rows work"
    started, settings = follow(client, vector), client.settings
    stream, guarded = SecretStream(), settings.privacy.unit == "record"
    bound = votes.first_bound(settings) if clip is None else clip
    batches = draw_batches(client.data, settings, stream)
    moving = _moving(started, mask) if mask is not None and settings.compress.trains_masked else None
    draws = _noise(started, batches, bound * noise, tally, stream, moving) if guarded else None
    params, stats, loss, yes = train_round(
        client.spec,
        settings.steps,
        started.params,
        started.stats,
        client.data,
        batches,
        bound if guarded else 0.0,
        draws,
        moving,
    )
    done = replace(client, params=params, stats=stats)
    update, astray = common(done) - vector, False
    if not np.isfinite(update).all():
        if settings.privacy.unit == "none":
            return client, None, {}
        done, astray = client, True
        update = np.zeros_like(vector) if draws is None else _noise_alone(started, draws, batches, moving)
    # Unit `client` votes on what it bounds; unit `record` bounds rows, and has their votes.
    voting = settings.privacy.voting
    update, longer = shorten(update, bound if voting and not guarded else settings.guard.update_norm)
    if voting and guarded:
        steps = len(batches.index)
        yes += float(stream.normal((steps,), settings.privacy.vote_noise).sum(dtype=np.float64))
        update = np.append(update, np.float32(yes / (batches.expected * steps)))
    elif voting:
        update = np.append(update, np.float32(-1 if longer else 1))
    # A mean loss over private rows is not covered by any noise.
    return done, update, {"astray": astray} if settings.privacy.unit != "none" else {"loss": loss}


def encode(settings: Settings, code: Code, update: np.ndarray, share: Share) -> np.ndarray:
    """The update as whole numbers for the secure sum: masked, weighted, rotated, rounded, and noised where the unit is
    ``client``.

    Where the bound is adaptive, its vote is one more whole number at the end.
    """
    vector = update[:-1] if settings.privacy.voting else update
    found = protect(vector, code.release, code.rotation, code.mask, share.factor, share.noise)
    if not settings.privacy.voting:
        return found
    return np.append(found, np.int64(votes.encode(float(update[-1]), settings.privacy, code.release.bound)))


def _moving(client: Client, mask: np.ndarray) -> np.ndarray:
    """Positions among all parameters of those that are trained: the mask's, and layers that stay here."""
    layout, everything = client.layout, layout_of(client.params)
    flags = np.zeros(layout.size, np.float32)
    flags[mask] = 1.0
    named = {name: np.ones(shape, np.float32) for name, shape in zip(everything.names, everything.shapes, strict=True)}
    return np.flatnonzero(np.asarray(flatten({**named, **unflatten(flags, layout)}, everything)))


def draw_batches(data: Data, settings: Settings, stream: SecretStream) -> Batches:
    """Poisson batches under DP, shuffled passes otherwise."""
    draw = poisson if settings.privacy.unit == "record" else shuffled
    return draw(len(data[1]), settings.local.batch, settings.local.epochs, stream)


def _noise(
    client: Client,
    batches: Batches,
    deviation: float,
    tally: Tally,
    stream: SecretStream,
    moving: np.ndarray | None,
) -> np.ndarray:
    # Layers that stay here steer the others' later gradients: noise on all of them.
    size = layout_of(client.params).size if moving is None else len(moving)
    drawn = stream.normal((len(batches.index), size), deviation)
    tally.released(int(batches.weight.sum(axis=1).max(initial=0)))
    tally.fed([drawn / deviation])
    return drawn


def _noise_alone(client: Client, draws: np.ndarray, batches: Batches, moving: np.ndarray | None) -> np.ndarray:
    """What plain steps without a single row would have changed, on the common parameters, float32."""
    layout = layout_of(client.params)
    step = np.zeros(layout.size)
    step[slice(None) if moving is None else moving] = draws.sum(axis=0, dtype=np.float64) / batches.expected
    rate = client.settings.steps.rate
    change = np.clip(-step * (rate if np.isfinite(rate) else 1.0), -_LONG, _LONG).astype(np.float32)
    return np.asarray(flatten(unflatten(change, layout), client.layout), np.float32)


def logits(client: Client, x: np.ndarray, chunk: int = 8192) -> np.ndarray:
    """Logits of rows, float32, shape (rows,)."""
    apply = network(client.spec).apply
    found = [
        np.asarray(apply(client.params, client.stats, jnp.asarray(x[i : i + chunk]))) for i in range(0, len(x), chunk)
    ]
    joined: np.ndarray = np.concatenate(found).astype(np.float32)
    return joined


def client_part(client: Client) -> Part:
    """All parameters and statistics as a document and arrays."""
    arrays = {f"params/{name}": np.asarray(value) for name, value in client.params.items()}
    return {}, {**arrays, **{f"stats/{name}": np.asarray(value) for name, value in client.stats.items()}}


def restored(client: Client, part: Part) -> Client:
    """``client`` with what `client_part` stored."""
    params = {name: jnp.asarray(part[1][f"params/{name}"]) for name in client.params}
    stats = {name: jnp.asarray(part[1][f"stats/{name}"]) for name in client.stats}
    return replace(client, params=params, stats=stats)
