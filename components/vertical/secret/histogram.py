"""Counts of people by class and score: the only thing that is opened of rows whose people are secret.

Inside the SPU (JAX, whole numbers, so nothing is rounded): a count begins as the parties' noise, and people are added
to it; a count without noise never exists. A person adds one to one number of each count.

Outside (numpy): losses, accuracy, AUC and the share of logits out of range, from the opened numbers alone. Noise makes
numbers of empty cells negative or positive: counts are moved to the nearest that are not negative and add up to the
class's people (`_nearest`), which takes most of it away.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import Array

from veilflow.components.privacy.shared_noise import deviation, margin
from veilflow.components.vertical.secret.network import Network
from veilflow.components.vertical.secret.opening import as_fraction
from veilflow.components.vertical.secret.programs import Program
from veilflow.components.vertical.secret.settings import DEALT_RANGE

MAX_BEYOND = 0.005
"""Share of people whose logits may be out of range."""

OVERFLOW_RANGE = 2.0**12
"""No training that goes well ends with logits beyond this."""

_COARSE, _MIDDLE = (0.5, 1.5, 4.0), (0.6, 1.5, 2.5, 4.0, 6.0)
_FINE = ((40_000, 95), (10_000, 47), (1_500, 23))
_INSIDE = 5
"""Points of a cell over which its mean loss is taken."""


def edges(rows: int, dealt: bool) -> tuple[float, ...]:
    """Logits between cells, ascending, with 0 among them; more of them where there are more rows to fill the cells.

    The outermost are the range that logits must keep.
    """
    limit = DEALT_RANGE if dealt else OVERFLOW_RANGE
    points = next((number for least, number in _FINE if rows >= least), 0)
    if points:
        grid = 8 * np.sinh(3 * np.linspace(-1, 1, points)) / np.sinh(3)
        inner = tuple(float(each) for each in grid.astype(np.float32))
    else:
        half = _COARSE if rows < 400 else _MIDDLE
        inner = (*(-each for each in reversed(half)), 0.0, *half)
    return (-limit, *inner, limit)


def start_program(count: str, parts: Sequence[str]) -> Program:
    """``count`` becomes the sum of the parties' noise."""
    return Program(f"start {count}", lambda *values: (sum(values[1:], values[0]),), tuple(parts), (count,))


def class_program(counts_all: bool) -> Program:
    """Adds a chunk of rows to ``classes``: int32 (2,), people of class 0 and 1.

    Args:
        counts_all: every row is a person; else ``member`` (rows x columns) tells, by being above 0 in all columns.
    """
    inputs = ("classes", "y", "valid", *(() if counts_all else ("member",)))

    def count(classes: Array, y: Array, valid: Array, *member: Array) -> tuple[Array]:
        return (classes + _by_class(y, valid, *member).sum(axis=1),)

    return Program("count classes", count, inputs, ("classes",))


def enough_program(people: int, of_a_class: int) -> Program:
    """``enough`` (2,): whether ``classes`` are ``people`` together, and whether each is ``of_a_class``."""

    def compare(classes: Array) -> tuple[Array]:
        each = classes >= of_a_class
        return (jnp.stack([classes.sum() >= people, each[0] & each[1]]),)

    return Program(f"at least {people} people, {of_a_class} a class", compare, ("classes",), ("enough",))


def cell_program(network: Network, between: Sequence[float], counts_all: bool) -> Program:
    """Adds a chunk of rows to ``cells``: int32 (2, cells), people by class and by how many of ``between`` they pass."""
    inputs = ("model", "cells", "x", "y", "valid", *(() if counts_all else ("member",)))
    grid = np.asarray(between, np.float32)

    def count(model: Array, cells: Array, x: Array, y: Array, valid: Array, *member: Array) -> tuple[Array]:
        logits = network.forward(model, x)[0]
        above = (logits[:, None] > grid).astype(jnp.int32)
        one = jnp.ones((logits.shape[0], 1), jnp.int32)
        reached = jnp.concatenate([one, above, jnp.zeros_like(one)], axis=1)
        return (cells + _by_class(y, valid, *member) @ (reached[:, :-1] - reached[:, 1:]),)

    return Program(f"count cells of {len(grid) + 1}", count, inputs, ("cells",))


def _by_class(y: Array, valid: Array, *member: Array) -> Array:
    """int32 (2, rows): 1 for people of class 0, of class 1."""
    counts = valid
    for columns in member:
        for column in range(columns.shape[1]):
            counts = counts * (columns[:, column] > 0).astype(jnp.int32)
    positive = counts * (y > 0.5).astype(jnp.int32)
    return jnp.stack([counts - positive, positive])


@dataclass(frozen=True)
class Counted:
    """What was opened: noised counts, and how large the noise is."""

    cells: np.ndarray
    """(2, cells)"""
    classes: np.ndarray
    """(2,)"""
    between: tuple[float, ...]
    cell_epsilon: float
    class_epsilon: float
    parties: int
    """Who drew noise."""
    people: int | None = None
    """How many people there are, where everybody can tell."""

    def figures(self) -> dict[str, float]:
        """``loss``, ``accuracy`` and ``auc``; estimates, the loss with all people of a cell spread evenly over it.

        People out of range are so few (`out_of_range`) that their two cells, which hold noise for the most part, are
        left out.
        """
        inside = self.cells[:, 1:-1]
        cells = np.stack([_nearest(row, total) for row, total in zip(inside, self._people(), strict=True)])
        negative, positive = cells / cells.sum()
        losses = _cell_losses(self.between[1:-1])
        zero = self.between.index(0.0)
        auc = positive @ (np.cumsum(negative) - negative / 2) / (positive.sum() * negative.sum())
        return {
            "loss": float(negative @ losses[0] + positive @ losses[1]),
            "accuracy": float(negative[:zero].sum() + positive[zero:].sum()),
            "auc": float(auc),
        }

    def out_of_range(self) -> bool:
        """Whether more than `MAX_BEYOND` of the people have logits beyond the outermost edges, for certain."""
        beyond = float(self.cells[:, [0, -1]].sum())
        return beyond > max(MAX_BEYOND * float(self._people().sum()), self._noise_of_beyond())

    def _noise_of_beyond(self) -> int:
        return margin(as_fraction(self.cell_epsilon), self.parties, 4, 1e-6)

    def _people(self) -> np.ndarray:
        """The best estimate of people per class from both counts; (2,), each at least 1."""
        own = deviation(self.class_epsilon, self.parties) ** -2
        summed = (deviation(self.cell_epsilon, self.parties) ** 2 * self.cells.shape[1]) ** -1
        found = (self.classes * own + self.cells.sum(axis=1) * summed) / (own + summed)
        if self.people is not None:
            found = np.minimum(found + (self.people - found.sum()) / 2, self.people - 1)
        most: np.ndarray = np.maximum(found, 1)
        return most


def _nearest(counts: np.ndarray, total: float) -> np.ndarray:
    """The nearest counts (Euclidean) that are not negative and sum to ``total``."""
    ordered = np.sort(counts.astype(np.float64))[::-1]
    excess = (np.cumsum(ordered) - total) / np.arange(1, len(ordered) + 1)
    last = int(np.flatnonzero(ordered > excess)[-1])
    nearest: np.ndarray = np.maximum(counts - excess[last], 0.0)
    return nearest


def _cell_losses(inner: Sequence[float]) -> np.ndarray:
    """Mean log loss of each cell for class 0 and 1: (2, cells). The first and last cell count as 2 wide."""
    ends = [inner[0] - 2, *inner, inner[-1] + 2]
    points = np.linspace(ends[:-1], ends[1:], _INSIDE)
    return np.stack([np.logaddexp(0, points).mean(axis=0), np.logaddexp(0, -points).mean(axis=0)])
