"""Which rows make up a client's local steps: index and weight tables of one shape per round.

Rows beyond a batch are padding with weight 0, so one compiled scan serves batches of every length.
"""

import math
from dataclasses import dataclass

import numpy as np

from veilflow.components.horizontal.fedavg.randomness import SecretStream

_PAD = 32


@dataclass(frozen=True)
class Batches:
    """Steps of one round at one client."""

    index: np.ndarray
    """int32, shape (steps, width): row numbers; 0 where padded."""
    weight: np.ndarray
    """float32, same shape: 1 for a row, 0 for padding."""
    expected: float
    """Rows of a batch on average: what sums are divided by under DP (never by the number drawn)."""


def steps_per_round(rows: int, batch: int, epochs: int) -> int:
    """Local steps of a client with ``rows`` rows."""
    return epochs * math.ceil(rows / batch)


def shuffled(rows: int, batch: int, epochs: int, stream: SecretStream) -> Batches:
    """``epochs`` passes in a new order each; the last batch of a pass may be shorter."""
    width = min(batch, rows)
    index = np.zeros((steps_per_round(rows, width, epochs), width), np.int32)
    weight = np.zeros(index.shape, np.float32)
    step = 0
    for _ in range(epochs):
        order = stream.permutation(rows)
        for start in range(0, rows, width):
            chosen = order[start : start + width]
            index[step, : len(chosen)] = chosen
            weight[step, : len(chosen)] = 1.0
            step += 1
    return Batches(index, weight, float(width))


def poisson(rows: int, batch: int, epochs: int, stream: SecretStream) -> Batches:
    """Each step takes each row with probability ``batch / rows``, independently: what the accountant assumes.

    No batch is cut: the width is that of the largest one drawn, rounded up to a multiple of 32.
    """
    rate = sampling_rate(rows, batch)
    steps = steps_per_round(rows, min(batch, rows), epochs)
    drawn = [np.flatnonzero(stream.uniform(rows) <= rate) for _ in range(steps)]
    width = _PAD * math.ceil(max(1, *map(len, drawn)) / _PAD)
    index, weight = np.zeros((steps, width), np.int32), np.zeros((steps, width), np.float32)
    for step, chosen in enumerate(drawn):
        index[step, : len(chosen)] = chosen
        weight[step, : len(chosen)] = 1.0
    return Batches(index, weight, rate * rows)


def sampling_rate(rows: int, batch: int) -> float:
    """Probability with which a Poisson batch takes a row."""
    return min(1.0, batch / rows)
