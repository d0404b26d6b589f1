"""Poisson batches: each record enters each batch by its own coin. What subsampled accounting assumes, and only that.

Shuffled batches of a fixed size accounted for as Poisson claim less epsilon than they spend.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.stream import RandomWords, random_words

_BITS = 32
_PAD = 32
"""Batches are filled up to a multiple of this, so that few shapes have to be compiled."""


@dataclass(frozen=True)
class PoissonBatches:
    """Batches of row positions. Private: their sizes tell about the sample that the accountant counts on."""

    rows: np.ndarray
    """int32 of shape ``(steps, capacity)``; 0 where nothing is."""
    present: np.ndarray
    """bool of the same shape."""


def exact_rate(rate: float) -> float:
    """The rate really used, a multiple of 2**-32 and no less than ``rate``: give this to the accountant.

    Raises:
        ComponentError: not in (0, 1].
    """
    if not 0 < rate <= 1:
        raise ComponentError(f"poisson: the sampling rate is {rate}; it must be above 0 and at most 1.")
    return math.ceil(rate * (1 << _BITS)) / (1 << _BITS)


def poisson_batches(rows: int, rate: float, steps: int, words: RandomWords = random_words) -> PoissonBatches:
    """``steps`` independent Poisson samples of ``rows`` records; a batch may be empty.

    The capacity follows the largest sample drawn, so no record is ever cut off. It is local to the party.
    """
    threshold = round(exact_rate(rate) * 2**_BITS)
    samples = []
    for _ in range(steps):
        coins = words(-(-rows // 2)).view(np.uint32)[:rows]
        samples.append(np.flatnonzero(coins.astype(np.uint64) < threshold).astype(np.int32))
    capacity = max(1, max((sample.size for sample in samples), default=1))
    capacity = -(-capacity // _PAD) * _PAD
    found = PoissonBatches(np.zeros((steps, capacity), np.int32), np.zeros((steps, capacity), bool))
    for step, sample in enumerate(samples):
        found.rows[step, : sample.size] = sample
        found.present[step, : sample.size] = True
    return found
