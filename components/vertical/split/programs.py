"""The secret programs of split training: what runs inside the SPU, as functions of named variables.

Feeds of one step (secret, from their owners): per party with features ``P/embedding``, ``P/input{l}``, ``P/norm{l}``,
``P/slope{l}``, ``P/kernel{l}`` (see `bottom.trace_dense`), ``P/noise/Q`` from every other data holder Q; and ``label``.
State (secret, stays inside): ``top``, ``velocity`` (or ``moment1``, ``moment2``), ``loss``.
Opened: ``P/gradient`` to P, once per step: the sum over the batch of clipped rows, plus everybody else's noise.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from veilflow.components.vertical.split import top
from veilflow.components.vertical.split.bottom import feed_shapes, gradient_sizes
from veilflow.components.vertical.split.fixed_point import clip_factor, row_square_sums, sigmoid_softplus
from veilflow.components.vertical.split.model import Dense


@dataclass(frozen=True)
class Holder:
    """A party with features, as programs see it: public sizes."""

    party: str
    features: int
    bottom: Dense
    noise_from: tuple[str, ...]
    """Data holders that add noise to this party's gradient: all others."""

    @property
    def width(self) -> int:
        return self.bottom.layers[-1]

    @property
    def depth(self) -> int:
        return len(self.bottom.layers)

    def feeds(self) -> list[str]:
        """Names of what the holder infeeds in a step, without the party."""
        return sorted(feed_shapes(self.features, self.bottom, 1))

    def gradient_length(self) -> int:
        return sum(n * m for n, m in gradient_sizes(self.features, self.bottom))


@dataclass(frozen=True)
class Program:
    """A function with the names of its inputs and outputs."""

    name: str
    fn: Callable[..., tuple[Any, ...]]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def release_program(holders: Sequence[Holder], spec: Dense) -> Program:
    """Forward through the top, loss, backward through top and bottoms, clip, sum, add noise.

    Outputs ``P/gradient`` for every holder, and what `update_program` needs.
    """
    names = [f"{h.party}/{feed}" for h in holders for feed in h.feeds()]
    noise = [f"{h.party}/noise/{other}" for h in holders for other in h.noise_from]
    inputs = ("top", "label", *names, *noise)
    kept = _kept_names(spec)

    def release(*values: Array) -> tuple[Array, ...]:
        given = dict(zip(inputs, values, strict=True))
        embeddings = jnp.concatenate([given[f"{h.party}/embedding"] for h in holders], axis=1)
        layers = top.unpack(given["top"], embeddings.shape[1], spec)
        run = top.forward(layers, spec.activation, embeddings)
        probability, softplus = sigmoid_softplus(run.logits)
        error = probability - given["label"]
        back, at_cut = top.backward(layers, run, error)
        blocks = _bottom_deltas(holders, given, at_cut)
        scale = clip_factor(_norms(holders, given, blocks))
        gradients = _summed(holders, given, blocks, scale)
        kept_values = (embeddings, run.logits, softplus, error, *run.hidden, *back.deltas[:-1])
        return (*gradients, *kept_values)

    outputs = (*(f"{h.party}/gradient" for h in holders), *kept)
    return Program("release", release, inputs, outputs)


def update_program(spec: Dense, rows: int, optimiser: "TopOptimiser") -> Program:
    """One optimiser step of the top model on what `release_program` kept, and the running sum of the loss."""
    kept = _kept_names(spec)
    inputs = ("top", "label", "loss", *optimiser.state, *kept)

    def update(*values: Array) -> tuple[Array, ...]:
        given = dict(zip(inputs, values, strict=True))
        embeddings = given["keep/embeddings"]
        layers = top.unpack(given["top"], embeddings.shape[1], spec)
        hidden = [given[f"keep/hidden{i}"] for i in range(len(spec.layers))]
        deltas = [given[f"keep/delta{i}"] for i in range(len(spec.layers))]
        back = top.Backward([*deltas, given["keep/error"][:, None]], _weights(layers))
        run = top.Forward(given["keep/logits"], hidden, [])
        total, agreement = top.gradient(embeddings, run, back, given["label"])
        state, flat = optimiser.step([given[name] for name in optimiser.state], total, rows, given["top"])
        loss = given["loss"] + given["keep/softplus"].sum() - agreement
        return (flat, loss, *state)

    return Program("update", update, inputs, ("top", "loss", *optimiser.state))


def score_program(parties: Sequence[str], spec: Dense) -> Program:
    """Logits of a chunk of rows, for validation and prediction; the receiver applies the sigmoid in the clear."""
    inputs = ("top", *(f"{party}/embedding" for party in parties))

    def score(flat: Array, *embeddings: Array) -> tuple[Array]:
        joined = jnp.concatenate(embeddings, axis=1)
        return (top.forward(top.unpack(flat, joined.shape[1], spec), spec.activation, joined).logits,)

    return Program("score", score, inputs, ("logits",))


def fetch_program(name: str) -> Program:
    """A variable as it is, to be opened (the epoch's loss)."""
    return Program(f"fetch {name}", lambda value: (value,), (name,), (f"fetched/{name}",))


@dataclass(frozen=True)
class TopOptimiser:
    """The top model's optimiser, inside the SPU: ``momentum`` (two products) or ``adam`` (an inverse root more)."""

    kind: str
    rate: float
    momentum: float = 0.9

    @property
    def state(self) -> tuple[str, ...]:
        """Names of its state variables; all start at 0."""
        return ("velocity",) if self.kind == "momentum" else ("moment1", "moment2")

    def step(self, state: Sequence[Array], total: Array, rows: int, flat: Array) -> tuple[list[Array], Array]:
        """New state and parameters from the gradient summed over ``rows`` rows."""
        if self.kind == "momentum":
            weights = np.array([[self.momentum], [1.0 / rows]], np.float32)
            velocity = (jnp.stack([state[0], total]) * weights).sum(axis=0)
            return [velocity], flat - velocity * self.rate
        mean = total * (1.0 / rows)
        first = state[0] * self.momentum + mean * (1 - self.momentum)
        # Gradients are small: their squares are kept 2**16 times larger, or 18 bits would lose them.
        scaled = mean * 256.0
        second = state[1] * 0.99 + (scaled * scaled) * 0.01
        root = lax.rsqrt(second + 1e-3) * (256.0 * self.rate)
        return [first, second], flat - first * root


@dataclass(frozen=True)
class _Block:
    """One dense layer of one bottom: where its inputs are, and its deltas (rows x units)."""

    holder: int
    number: int
    inputs: Array
    deltas: Array


def _bottom_deltas(holders: Sequence[Holder], given: Mapping[str, Array], at_cut: Array) -> list[_Block]:
    """Deltas of every layer of every bottom, before clipping."""
    slopes = [given[f"{h.party}/slope{h.depth}"] for h in holders]
    ends = np.cumsum([h.width for h in holders])
    if len({slope.dtype for slope in slopes}) == 1:
        masked = at_cut * jnp.concatenate(slopes, axis=1).astype(jnp.float32)
        parts = [masked[:, end - h.width : end] for h, end in zip(holders, ends, strict=True)]
    else:
        cut = [at_cut[:, end - h.width : end] for h, end in zip(holders, ends, strict=True)]
        parts = [part * slope.astype(jnp.float32) for part, slope in zip(cut, slopes, strict=True)]
    blocks = []
    for index, (h, delta) in enumerate(zip(holders, parts, strict=True)):
        for number in range(h.depth, 0, -1):
            blocks.append(_Block(index, number, given[f"{h.party}/input{number}"], delta))
            if number > 1:
                slope = given[f"{h.party}/slope{number - 1}"].astype(jnp.float32)
                delta = (delta @ given[f"{h.party}/kernel{number}"].T) * slope
    return blocks


def _norms(holders: Sequence[Holder], given: Mapping[str, Array], blocks: Sequence[_Block]) -> Array:
    """Squared norm of each row's gradient by holder, as `clip_factor` takes it: shape (holders, rows)."""
    deltas = jnp.concatenate([block.deltas for block in blocks], axis=1)
    squares = row_square_sums(deltas, [block.deltas.shape[1] for block in blocks])
    inputs = jnp.stack([given[f"{holders[b.holder].party}/norm{b.number}"] for b in blocks])
    products = squares * inputs
    owners = [[i for i, block in enumerate(blocks) if block.holder == index] for index in range(len(holders))]
    return jnp.stack([sum(products[i] for i in own[1:]) + products[own[0]] for own in owners])


_JOINT_LIMIT = 1 << 22
"""Multiplications up to which all gradients are computed as one matrix product: one round instead of one per block.
Only its diagonal blocks are used; the others stay secret and are dropped."""


def _summed(
    holders: Sequence[Holder], given: Mapping[str, Array], blocks: Sequence[_Block], scale: Array
) -> list[Array]:
    """Each holder's flat gradient: clipped rows summed over the batch, plus the others' noise."""
    inputs = jnp.concatenate([b.inputs for b in blocks], axis=1)
    deltas = jnp.concatenate([b.deltas for b in blocks], axis=1)
    side = 0 if inputs.shape[1] <= deltas.shape[1] else 1  # scale the narrower side
    widths = [(b.inputs, b.deltas)[side].shape[1] for b in blocks]
    factors = jnp.concatenate(
        [jnp.broadcast_to(scale[b.holder][:, None], (scale.shape[1], w)) for b, w in zip(blocks, widths, strict=True)],
        axis=1,
    )
    inputs, deltas = (inputs * factors, deltas) if side == 0 else (inputs, deltas * factors)
    found: list[list[Array]] = [[] for _ in holders]
    joint = inputs.T @ deltas if inputs.shape[0] * inputs.shape[1] * deltas.shape[1] <= _JOINT_LIMIT else None
    row = column = 0
    for block in blocks:
        n, m = block.inputs.shape[1], block.deltas.shape[1]
        rows, columns = slice(row, row + n), slice(column, column + m)
        product = inputs[:, rows].T @ deltas[:, columns] if joint is None else joint[rows, columns]
        found[block.holder].insert(0, product.reshape(-1))  # blocks come last layer first
        row, column = row + n, column + m
    totals = []
    for h, parts in zip(holders, found, strict=True):
        total = jnp.concatenate(parts)
        for other in h.noise_from:
            total = total + given[f"{h.party}/noise/{other}"]
        totals.append(total)
    return totals


def _kept_names(spec: Dense) -> tuple[str, ...]:
    depth = range(len(spec.layers))
    names = ["embeddings", "logits", "softplus", "error"]
    return tuple(f"keep/{n}" for n in [*names, *(f"hidden{i}" for i in depth), *(f"delta{i}" for i in depth)])


def _weights(layers: Sequence[top.Layer]) -> list[Array | None]:
    """The column weights that `top.backward` keeps apart: the output unit's, at the layer below it."""
    weights: list[Array | None] = [None] * len(layers)
    if len(layers) > 1:
        weights[-2] = layers[-1][0][:, 0]
    return weights
