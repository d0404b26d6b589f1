"""The secret programs of split training: what runs inside the SPU, as functions of named variables.

Computes     for a batch of rows, of every row the derivative J of its logit by all parameters (bottoms and top), cut
             to the L2 norm ``clip``; the gradient (probability - label) * J summed over the batch; each data holder's
             noise added to every entry of it. The bottoms' parts are opened, each to its owner; the top's part stays
             inside and moves the top model. Figures (a mean squared error) are summed and noised the same way.
Adversary    all data holders but one, pooling what they see, against the one that is left: its labels, its features.
             They may feed any numbers they like. The SPU's own protocol is semi-honest.
Reveals      to each feature party its bottom's part of the noised sum; to the label's holder the noised figures.
Why this is differentially private, and in what:
             - One vector per batch has noise in every entry, the top model's included. So what stays secret from step
               to step (the top model, the others' bottoms) is a function of noised sums, and a row counts in the
               batches it is in, not in all that follow. Noise in the opened parts alone would not do: a label in the
               first batch would move the secret top model, and with it every row's gradient in every later batch.
             - Every holder adds the full noise to every entry, its own bottom's too. Whoever pools knows its own noise
               and can take it out; the one that is left has its noise in everything.
             - J does not depend on the label. With a label of 0 or 1 (the programs make it one of them, whatever was
               fed) the row's part changes by exactly J, so by at most ``clip``, if the label is the other one. If
               everything about the row is another, by at most twice that. `account` counts both.
             - A row is in one batch of an epoch at most. Which rows make up a batch is public: feature parties compute
               on them. So nothing is gained by sampling, and none is counted: an epoch costs what one batch costs.
             - Lengths are measured here, on the very numbers that are multiplied (`fixed_point.limit`), never stated by
               their owner. A row that is too long to be measured counts as nothing.
Not covered  a holder of two or more rows of one person; what repeated trainings add up to; Gaussian noise is taken as
             exact although it is drawn with 53 bits and rounded to 2**-18.
Assumes      ABY3 or CHEETAH as the SPU runs them; noise from a ChaCha20 stream under the system's keys (`noise`).
Reference    Abadi et al. 2016 (DP-SGD), arxiv.org/abs/1607.00133. We clip J instead of the gradient (half the label's
             sensitivity), over bottoms and top together, and do without sampling. Ghazi et al. 2021 for label privacy,
             arxiv.org/abs/2102.06062. Norms per row without forming J: Goodfellow 2015, arxiv.org/abs/1510.01799.

Feeds of one step (secret, from their owners): per party with features ``P/embedding``, ``P/input{l}``, ``P/slope{l}``,
``P/kernel{l}`` (see `bottom.trace_dense`); ``label``; from every data holder Q ``noise/Q``, whole numbers of 2**-18.
State (secret, stays inside): ``top``, ``velocity`` (or ``moment1``, ``moment2``), ``trained``, ``judged`` (figures).
Opened: ``P/gradient`` to P, once per step; ``figure/trained`` and ``figure/judged`` to the label's holder, per epoch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from veilflow.components.vertical.split import top
from veilflow.components.vertical.split.arithmetic import SECRET, Arithmetic
from veilflow.components.vertical.split.bottom import feed_shapes, gradient_sizes
from veilflow.components.vertical.split.fixed_point import (
    CLIP_UNIT,
    FRACTION_BITS,
    LIMIT,
    RAISED,
    sigmoid_and_signs,
)
from veilflow.components.vertical.split.model import Dense


@dataclass(frozen=True)
class Holder:
    """A party with features, as programs see it: public sizes."""

    party: str
    features: int
    bottom: Dense

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


def released_length(holders: Sequence[Holder], spec: Dense) -> int:
    """Entries of the one vector that is summed and noised in a step: all bottoms' parameters, then the top's."""
    return sum(h.gradient_length() for h in holders) + top.count(sum(h.width for h in holders), spec)


@dataclass(frozen=True)
class Program:
    """A function with the names of its inputs and outputs."""

    name: str
    fn: Callable[..., tuple[Any, ...]]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def release_program(
    holders: Sequence[Holder], spec: Dense, clip: float, noise_from: Sequence[str], arithmetic: Arithmetic = SECRET
) -> Program:
    """Forward through the top, backward through top and bottoms, clip, sum, add noise.

    Outputs ``P/gradient`` for every holder, and what `update_program` needs.

    Args:
        noise_from: data holders whose noise goes into every entry; none: nothing is protected.
    """
    names = [f"{h.party}/{feed}" for h in holders for feed in h.feeds()]
    inputs = ("top", "label", *names, *(f"noise/{party}" for party in noise_from))

    def release(*values: Array) -> tuple[Array, ...]:
        given = dict(zip(inputs, values, strict=True))
        embeddings = jnp.concatenate([given[f"{h.party}/embedding"] for h in holders], axis=1)
        layers = top.unpack(given["top"], embeddings.shape[1], spec)
        run = top.forward(layers, spec.activation, embeddings)
        deltas, at_cut = top.jacobian(layers, run)
        blocks = _limited([*_bottom_blocks(holders, given, at_cut), *_top_blocks(embeddings, run, deltas)], arithmetic)
        lengths, inside = _lengths(blocks, clip, arithmetic)
        probability, signs = sigmoid_and_signs(run.logits, jnp.stack([given["label"] - 0.5, *inside]))
        error = probability - signs[0].astype(jnp.float32)
        weight = jnp.where(signs[1] & signs[2], error * arithmetic.clip_factor(lengths), 0.0) * RAISED**-2
        total = _summed(blocks, weight)
        for party in noise_from:
            total = total + arithmetic.from_units(given[f"noise/{party}"])
        ends = np.cumsum([h.gradient_length() for h in holders])
        parts = [total[end - h.gradient_length() : end] for h, end in zip(holders, ends, strict=True)]
        return (*parts, total[ends[-1] :], (error * error).sum()[None])

    outputs = (*(f"{h.party}/gradient" for h in holders), "keep/top", "keep/squares")
    return Program("release", release, inputs, outputs)


def update_program(rows: int, optimiser: "TopOptimiser") -> Program:
    """One optimiser step of the top model on the noised sum that `release_program` kept, and the running figure."""
    inputs = ("top", "trained", *optimiser.state, "keep/top", "keep/squares")

    def update(*values: Array) -> tuple[Array, ...]:
        given = dict(zip(inputs, values, strict=True))
        state, flat = optimiser.step([given[name] for name in optimiser.state], given["keep/top"], rows, given["top"])
        return (flat, given["trained"] + given["keep/squares"], *state)

    return Program("update", update, inputs, ("top", "trained", *optimiser.state))


def judge_program(parties: Sequence[str], spec: Dense) -> Program:
    """Adds a chunk's squared errors to ``judged``. ``counts`` (public) is 0 for rows that only fill the chunk up."""
    inputs = ("top", "judged", "label", "counts", *(f"{party}/embedding" for party in parties))

    def judge(flat: Array, judged: Array, label: Array, counts: Array, *embeddings: Array) -> tuple[Array]:
        joined = jnp.concatenate(embeddings, axis=1)
        logits = top.forward(top.unpack(flat, joined.shape[1], spec), spec.activation, joined).logits
        probability, signs = sigmoid_and_signs(logits, (label - 0.5)[None])
        error = probability - signs[0].astype(jnp.float32)
        return (judged + (error * error * counts).sum()[None],)

    return Program("judge", judge, inputs, ("judged",))


def figure_program(name: str, noise_from: Sequence[str], arithmetic: Arithmetic = SECRET) -> Program:
    """The running figure ``name`` plus everybody's noise, to be opened."""
    inputs = (name, *(f"figure noise/{party}" for party in noise_from))

    def figure(value: Array, *noise: Array) -> tuple[Array]:
        for each in noise:
            value = value + arithmetic.from_units(each)
        return (value,)

    return Program(f"figure {name}", figure, inputs, (f"figure/{name}",))


def score_program(parties: Sequence[str], spec: Dense) -> Program:
    """Logits of a chunk of rows, for prediction; the receiver applies the sigmoid in the clear."""
    inputs = ("top", *(f"{party}/embedding" for party in parties))

    def score(flat: Array, *embeddings: Array) -> tuple[Array]:
        joined = jnp.concatenate(embeddings, axis=1)
        return (top.forward(top.unpack(flat, joined.shape[1], spec), spec.activation, joined).logits,)

    return Program("score", score, inputs, ("logits",))


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
    """One dense layer: what goes into it (rows x inputs + 1, the last stands for the bias), and how the logit depends
    on what comes out (rows x units). Their outer product is the row's J by the layer's parameters."""

    inputs: Array
    deltas: Array


def _bottom_blocks(holders: Sequence[Holder], given: Mapping[str, Array], at_cut: Array) -> list[_Block]:
    """Every layer of every bottom, in the order of the released vector."""
    slopes = [given[f"{h.party}/slope{h.depth}"] for h in holders]
    ends = np.cumsum([h.width for h in holders])
    if len({slope.dtype for slope in slopes}) == 1:
        masked = _through(at_cut, jnp.concatenate(slopes, axis=1))
        parts = [masked[:, end - h.width : end] for h, end in zip(holders, ends, strict=True)]
    else:
        cut = [at_cut[:, end - h.width : end] for h, end in zip(holders, ends, strict=True)]
        parts = [_through(part, slope) for part, slope in zip(cut, slopes, strict=True)]
    blocks: list[_Block] = []
    for h, delta in zip(holders, parts, strict=True):
        own: list[_Block] = []
        for number in range(h.depth, 0, -1):
            own.insert(0, _Block(given[f"{h.party}/input{number}"], delta))
            if number > 1:
                delta = _through(delta @ given[f"{h.party}/kernel{number}"].T, given[f"{h.party}/slope{number - 1}"])
        blocks += own
    return blocks


def _through(delta: Array, slope: Array) -> Array:
    return delta * slope.astype(jnp.float32)


def _top_blocks(embeddings: Array, run: top.Forward, deltas: Sequence[Array]) -> list[_Block]:
    ones = jnp.ones((embeddings.shape[0], 1), jnp.float32)
    inputs = [jnp.concatenate([each, ones], axis=1) for each in (embeddings, *run.hidden)]
    return [_Block(x, delta) for x, delta in zip(inputs, deltas, strict=True)]


def _limited(blocks: Sequence[_Block], arithmetic: Arithmetic) -> list[_Block]:
    """The same blocks, `RAISED`, of numbers whose squares stay in the ring; all that is multiplied from here on."""
    sides = [side for block in blocks for side in (block.inputs, block.deltas)]
    ends = np.cumsum([side.shape[1] for side in sides])
    joined = arithmetic.limit(jnp.concatenate(sides, axis=1))
    cut = [joined[:, end - side.shape[1] : end] for side, end in zip(sides, ends, strict=True)]
    return [_Block(x, delta) for x, delta in zip(cut[::2], cut[1::2], strict=True)]


LONGEST = (LIMIT**2, LIMIT**2 / 8)
"""Squared norm that all inputs of a row together may have, and all deltas; beyond, the row counts as nothing."""


def _lengths(blocks: Sequence[_Block], clip: float, arithmetic: Arithmetic) -> tuple[Array, list[Array]]:
    """Each row's squared norm of J as `clip_factor` takes it, and two values above 0 where it can be relied upon."""
    sides = [side for block in blocks for side in (block.inputs, block.deltas)]
    squares = arithmetic.square_sums(jnp.concatenate(sides, axis=1), [side.shape[1] for side in sides])
    inputs, deltas = squares[::2], squares[1::2]
    # Rounded up to the fixed point: what is counted is never less than what is there.
    unit = np.ceil(2**FRACTION_BITS * CLIP_UNIT / clip**2) / 2**FRACTION_BITS
    lengths = (inputs * deltas).sum(axis=0) * np.float32(unit)
    # Both limits together stay below 2**26 clips, where `clip_factor` ends.
    longest, steepest = LONGEST[0], LONGEST[1] * min(1.0, 32 * clip**2)
    return lengths, [longest - inputs.sum(axis=0), steepest - deltas.sum(axis=0)]


_JOINT_LIMIT = 1 << 22
"""Multiplications up to which all gradients are computed as one matrix product: one round instead of one per block.
Only its diagonal blocks are used; the others stay secret and are dropped."""


def _summed(blocks: Sequence[_Block], weight: Array) -> Array:
    """The flat gradient, each row's J times its weight, summed over the batch."""
    inputs = jnp.concatenate([b.inputs for b in blocks], axis=1)
    deltas = jnp.concatenate([b.deltas for b in blocks], axis=1)
    if inputs.shape[1] <= deltas.shape[1]:  # scale the narrower side
        inputs = inputs * weight[:, None]
    else:
        deltas = deltas * weight[:, None]
    joint = inputs.T @ deltas if inputs.shape[0] * inputs.shape[1] * deltas.shape[1] <= _JOINT_LIMIT else None
    found, row, column = [], 0, 0
    for block in blocks:
        rows, columns = slice(row, row + block.inputs.shape[1]), slice(column, column + block.deltas.shape[1])
        product = inputs[:, rows].T @ deltas[:, columns] if joint is None else joint[rows, columns]
        found.append(product.reshape(-1))
        row, column = rows.stop, columns.stop
    return jnp.concatenate(found)
