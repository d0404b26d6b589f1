"""Synthetic customers of three banks with the same columns, and whether they defaulted.

Columns: ``customer`` (ID), ``f01`` ... ``f28`` (standard normal, correlated through four common factors, float32), and
``default`` (0 or 1). The label is 1 with probability ``sigmoid(BIAS + x @ weights)``, the same law at every bank; with
``shift`` the banks' feature means lie apart, so that their customers differ. A part depends on its own name and the
seed only: a bank can make its rows without making the others'.
"""

import numpy as np
import pandas as pd

from veilflow.datasets.generators.bayes import bayes_auc

BIAS = -1.5
_PARTS = ("bank_1", "bank_2", "bank_3", "test", "agreed")
_COMMON = ("test", "agreed")
_FACTORS = 4


def part(name: str, rows: int = 1000, seed: int = 0, features: int = 28, shift: float = 0.0) -> pd.DataFrame:
    """The rows of one bank, or of the common sets ``test`` and ``agreed`` (drawn from all three).

    Args:
        name: ``bank_1``, ``bank_2``, ``bank_3``, ``test`` or ``agreed``.
        rows: customers in this part.
        features: number of features.
        shift: distance of the banks' feature means, in standard deviations.
    """
    x, probability, rng = _draw(name, rows, seed, features, shift)
    frame = pd.DataFrame(x, columns=[f"f{number:02d}" for number in range(1, features + 1)], copy=False)
    numbers = np.arange(rows) + rows * _PARTS.index(name)
    frame.insert(0, "customer", np.char.add("C", np.char.zfill(numbers.astype("U10"), 10)).astype(object))
    frame["default"] = (rng.random(rows) < probability).astype(np.int64)
    return frame


def best_auc(name: str, rows: int = 1000, seed: int = 0, features: int = 28, shift: float = 0.0) -> float:
    """The AUC that the true probabilities of `part`'s rows reach on average over labels."""
    return bayes_auc(_draw(name, rows, seed, features, shift)[1])


def weights(seed: int = 0, features: int = 28) -> np.ndarray:
    """The true weights, shape ``(features,)``: about a third of them are zero, the norm is 1.5."""
    rng = np.random.default_rng([seed, 100])
    drawn = rng.standard_normal(features) * (rng.random(features) < 2 / 3)
    if not drawn.any():
        drawn[0] = 1.0
    scaled: np.ndarray = drawn * (1.5 / np.linalg.norm(drawn))
    return scaled


def _draw(
    name: str, rows: int, seed: int, features: int, shift: float
) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Features, probabilities, and the generator to draw the labels with."""
    common = np.random.default_rng([seed, 101])
    loading = common.standard_normal((_FACTORS, features)).astype(np.float32) * np.float32(0.5)
    centres = common.standard_normal((3, features)).astype(np.float32) * np.float32(shift / np.sqrt(2))
    rng = np.random.default_rng([seed, _PARTS.index(name)])
    x = rng.standard_normal((rows, features), dtype=np.float32)
    x += rng.standard_normal((rows, _FACTORS), dtype=np.float32) @ loading
    x /= np.sqrt(1 + (loading**2).sum(axis=0))
    x += centres[rng.integers(0, 3, rows)] if name in _COMMON else centres[_PARTS.index(name)]
    logit = BIAS + x @ weights(seed, features).astype(np.float32)
    return x, 1.0 / (1.0 + np.exp(-logit.astype(np.float64))), rng
