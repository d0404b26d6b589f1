"""Epoch by epoch: figures that everybody sees, and when to stop."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


def auc(label: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve; ties count half. Both classes must be there."""
    order = np.argsort(score, kind="stable")
    _, inverse, counts = np.unique(score[order], return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = np.empty(len(score))
    ranks[order] = (last - (counts - 1) / 2)[inverse]
    positives = float(label.sum())
    negatives = len(label) - positives
    return float((ranks[label > 0].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def log_loss(label: np.ndarray, logit: np.ndarray) -> float:
    """Mean binary cross-entropy of logits."""
    return float(np.mean(np.logaddexp(0.0, logit) - label * logit))


WATCHED = ("valid_loss", "valid_brier", "train_loss", "train_brier")
"""Figures where less is better, those of rows that are not trained on first."""


@dataclass
class History:
    """One row of public figures per epoch; the same at every party.

    Early stopping watches the first of `WATCHED` that there is.
    """

    rows: list[dict[str, float]] = field(default_factory=list)

    def add(self, figures: Mapping[str, float]) -> None:
        self.rows.append({key: float(value) for key, value in figures.items()})

    @property
    def watched(self) -> str:
        return next((name for name in WATCHED if self.rows and name in self.rows[0]), "train_loss")

    @property
    def best(self) -> int:
        """Position of the best epoch so far."""
        return min(range(len(self.rows)), key=lambda i: self.rows[i][self.watched])

    def improved(self) -> bool:
        """Was the last epoch the best one?"""
        return self.best == len(self.rows) - 1

    def exhausted(self, patience: int) -> bool:
        """Have ``patience`` epochs gone by since the best one? Never with 0."""
        return patience > 0 and bool(self.rows) and len(self.rows) - 1 - self.best >= patience

    def columns(self) -> dict[str, list[float]]:
        """For a report's table: ``epoch`` first."""
        names = list(self.rows[0]) if self.rows else []
        return {"epoch": [float(i + 1) for i in range(len(self.rows))]} | {
            name: [row[name] for row in self.rows] for name in names
        }
