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

    No batch is cut: the width is that of the largest one drawn, rounded up to a multiple of 32. The coins of all steps
    are one long sequence of which only the heads are found, by the geometric gaps between them: time grows with the
    rows that are taken, not with rows times steps.
    """
    rate = sampling_rate(rows, batch)
    steps = steps_per_round(rows, min(batch, rows), epochs)
    heads = _heads(rows * steps, rate, stream)
    step, row = heads // rows, heads % rows
    counts = np.bincount(step, minlength=steps)
    width = _PAD * math.ceil(max(1, int(counts.max())) / _PAD)
    place = np.arange(len(heads)) - np.repeat(np.cumsum(counts) - counts, counts)
    index, weight = np.zeros((steps, width), np.int32), np.zeros((steps, width), np.float32)
    index[step, place] = row
    weight[step, place] = 1.0
    return Batches(index, weight, rate * rows)


def _heads(coins: int, rate: float, stream: SecretStream) -> np.ndarray:
    """Positions of the heads among ``coins`` throws that each show heads with probability ``rate``; sorted int64."""
    if rate >= 1:
        return np.arange(coins)
    found, last = [], -1
    while last < coins:
        expected = (coins - last) * rate
        tails = np.floor(np.log(stream.uniform(int(expected + 4 * math.sqrt(expected) + 16))) / math.log1p(-rate))
        found.append(last + np.cumsum(1 + np.minimum(tails, coins).astype(np.int64)))
        last = int(found[-1][-1])
    positions = np.concatenate(found)
    heads: np.ndarray = positions[positions < coins]
    return heads


def sampling_rate(rows: int, batch: int) -> float:
    """Probability with which a Poisson batch takes a row."""
    return min(1.0, batch / rows)
