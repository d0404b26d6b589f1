"""Synthetic visitors of a chain's stores, and whether they bought.

`COLUMNS` documents every numeric feature; ``channel`` (app, web or shop) is text. The label ``converted`` is 1 with
probability ``sigmoid(BIAS + sum of weight * standardised feature + channel's part)``, the same law at every store. With
``shift`` the stores differ in their customers: one has more regulars, one more browsers. A part depends on its own name
and the seed only.
"""

from statistics import NormalDist

import numpy as np
import pandas as pd

from veilflow.datasets.generators.bayes import bayes_auc

BIAS = -0.9
PARTS = ("store_1", "store_2", "store_3", "test")
COLUMNS = {
    "visits_90d": ("count", 4.0, 0.0, 0.70),
    "days_since_visit": ("lognormal", 2.6, 0.9, -0.55),
    "basket_mean": ("lognormal", 3.4, 0.6, 0.30),
    "items_viewed": ("count", 9.0, 0.0, 0.45),
    "minutes": ("lognormal", 2.2, 0.7, 0.35),
    "discount_share": ("share", 0.25, 0.0, 0.40),
    "returns_90d": ("count", 0.6, 0.0, -0.30),
    "member": ("flag", 0.4, 0.0, 0.50),
    "weekend": ("flag", 0.35, 0.0, 0.10),
    "distance_km": ("lognormal", 1.6, 0.8, -0.35),
    "email_opens": ("count", 2.0, 0.0, 0.25),
    "wishlist": ("count", 1.1, 0.0, 0.40),
}
"""Name -> law, its two figures (mean and deviation of the logarithm for lognormal), weight in the logit."""
CHANNELS = {"app": (0.35, 0.4), "web": (0.40, 0.0), "shop": (0.25, -0.4)}
"""Text value -> share of visitors, part of the logit."""


def part(name: str, rows: int = 1000, seed: int = 0, shift: float = 0.3) -> pd.DataFrame:
    """The visitors of one store, or of the common ``test`` set (drawn from all three).

    Args:
        rows: visitors in this part.
        shift: how far the stores' customers differ, in standard deviations.
    """
    frame, probability, rng = _draw(name, rows, seed, shift)
    numbers = np.arange(rows) + rows * PARTS.index(name)
    frame.insert(0, "visitor", np.char.add("V", np.char.zfill(numbers.astype("U10"), 10)).astype(object))
    frame["converted"] = (rng.random(rows) < probability).astype(np.int64)
    return frame


def best_auc(name: str, rows: int = 1000, seed: int = 0, shift: float = 0.3) -> float:
    """The AUC that the true probabilities of `part`'s rows reach on average over labels."""
    return bayes_auc(_draw(name, rows, seed, shift)[1])


def _draw(name: str, rows: int, seed: int, shift: float) -> tuple[pd.DataFrame, np.ndarray, np.random.Generator]:
    """Features, probabilities, and the generator to draw the labels with."""
    common, rng = np.random.default_rng([seed, 201]), np.random.default_rng([seed, 202 + PARTS.index(name)])
    centres = common.standard_normal((3, len(COLUMNS))) * shift / np.sqrt(2)
    store = rng.integers(0, 3, rows) if name == "test" else np.full(rows, PARTS.index(name))
    standard = rng.standard_normal((rows, len(COLUMNS))) + centres[store]
    columns = {column: _shape(standard[:, i], *COLUMNS[column][:3]) for i, column in enumerate(COLUMNS)}
    shares = [share for share, _ in CHANNELS.values()]
    channel = rng.choice(len(CHANNELS), rows, p=shares)
    logit = BIAS + standard @ np.array([weight for *_, weight in COLUMNS.values()])
    logit = logit + np.array([effect for _, effect in CHANNELS.values()])[channel]
    frame = pd.DataFrame({**columns, "channel": np.array(list(CHANNELS), dtype=object)[channel]})
    return frame, 1.0 / (1.0 + np.exp(-logit)), rng


def _shape(standard: np.ndarray, law: str, a: float, b: float) -> np.ndarray:
    """A standard normal column with its marginal law; larger stays larger."""
    found: np.ndarray
    if law == "lognormal":
        found = np.round(np.exp(a + b * standard), 2)
    elif law == "count":
        found = np.maximum(0, np.round(a + np.sqrt(a) * standard)).astype(np.int64)
    elif law == "flag":
        found = (standard > NormalDist().inv_cdf(1 - a)).astype(np.int64)
    else:
        found = np.round(1 / (1 + np.exp(-(np.log(a / (1 - a)) + standard))), 3)
    return found
