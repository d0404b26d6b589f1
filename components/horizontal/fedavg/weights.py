"""From scores to weights: bounded, slow, and one round late.

The scores of a round shape the weights of the next one, so no client steers its own update's weight; a running mean
makes them slow; bounds keep every client's influence, and with it the sensitivity, within what was announced.
"""

import math
from collections.abc import Mapping

import numpy as np

from veilflow.components.horizontal.fedavg.settings import Weighting


def bounded(scores: Mapping[str, float], smallest: float, largest: float) -> dict[str, float]:
    """Weights in proportion to the positive part of ``scores``, moved into the bounds, sum 1.

    Scores that are not finite count as the worst. Where no score is positive, all weights are equal.

    Args:
        smallest, largest: ``smallest * n <= 1 <= largest * n``.
    """
    names = list(scores)
    raw = np.array([max(scores[name], 0.0) if math.isfinite(scores[name]) else 0.0 for name in names])
    shares = raw / raw.sum() if raw.sum() > 0 else np.full(len(names), 1 / len(names))
    low, high = 0.0, 1.0 / max(float(shares[shares > 0].min()), 1e-12)
    for _ in range(80):  # the factor at which the clipped shares sum to 1; their sum grows with it
        middle = (low + high) / 2
        low, high = (middle, high) if np.clip(shares * middle, smallest, largest).sum() < 1 else (low, middle)
    found = np.clip(shares * high, smallest, largest)
    found = found + _slack(found, smallest, largest) * (1.0 - found.sum())
    return {name: float(weight) for name, weight in zip(names, found, strict=True)}


def _slack(found: np.ndarray, smallest: float, largest: float) -> np.ndarray:
    """How what is missing to 1 is spread: by the room that is left (zero shares cannot grow by any factor)."""
    room = largest - found if found.sum() < 1 else found - smallest
    total = float(room.sum())
    spread: np.ndarray = room / total if total > 0 else np.zeros_like(found)
    return spread


def remembered(before: Mapping[str, float], scores: Mapping[str, float], memory: float) -> dict[str, float]:
    """Running mean of scores normalised to sum of absolutes 1, so that late rounds with small losses count alike."""
    finite = {name: (score if math.isfinite(score) else -1.0) for name, score in scores.items()}
    size = sum(abs(score) for score in finite.values())
    scaled = {name: score / size if size > 0 else 0.0 for name, score in finite.items()}
    return {
        **before,
        **{n: memory * before[n] + (1 - memory) * s if n in before else s for n, s in scaled.items()},
    }


def starting(clients: Mapping[str, int], by: str, settings: Weighting) -> dict[str, float]:
    """Weights of the first round: equal, or by the row counts that clients report, within the bounds."""
    if by != "size":
        return {party: 1 / len(clients) for party in clients}
    return bounded({party: float(rows) for party, rows in clients.items()}, settings.smallest, settings.largest)
