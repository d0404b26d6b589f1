"""What depends on the order of the scores only: ROC curve, AUC, Kolmogorov-Smirnov distance."""

from dataclasses import dataclass

import numpy as np

from veilflow.components.application.evaluate.scores import Scores

MAX_ROC_POINTS = 101


@dataclass(frozen=True)
class Ranking:
    """Counts at each distinct score, highest score first; tied rows are one entry.

    Attributes:
        score: float64, shape ``(k,)``, strictly falling.
        true_positives: int64, shape ``(k,)``: positive rows scored at or above ``score``.
        false_positives: int64, shape ``(k,)``: negative rows scored at or above ``score``.
    """

    score: np.ndarray
    true_positives: np.ndarray
    false_positives: np.ndarray

    @property
    def positives(self) -> int:
        return int(self.true_positives[-1])

    @property
    def negatives(self) -> int:
        return int(self.false_positives[-1])


def rank(scores: Scores) -> Ranking:
    """Sort once; every function below reads the result. O(n log n)."""
    order = np.argsort(-scores.score, kind="stable")
    falling, label = scores.score[order], scores.label[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(falling)), falling.size - 1)
    true_positives = np.cumsum(label, dtype=np.int64)[last_of_tie]
    return Ranking(falling[last_of_tie], true_positives, last_of_tie + 1 - true_positives)


def auc(ranking: Ranking) -> float:
    """Probability that a positive row outranks a negative one; a tie counts one half.

    The trapezoidal area in whole numbers: exact until the last division.
    """
    tp = np.concatenate(([0], ranking.true_positives))
    fp = np.concatenate(([0], ranking.false_positives))
    doubled = int(np.sum(np.diff(fp) * (tp[1:] + tp[:-1])))
    return doubled / (2 * ranking.positives * ranking.negatives)


def ks(ranking: Ranking) -> float:
    """Largest gap between the share of positives and of negatives found, over all thresholds (Kolmogorov-Smirnov)."""
    return float(np.max(np.abs(gaps(ranking))))


def gaps(ranking: Ranking) -> np.ndarray:
    """True-positive rate minus false-positive rate at each distinct score (Youden's J), shape ``(k,)``."""
    return ranking.true_positives / ranking.positives - ranking.false_positives / ranking.negatives


def roc(ranking: Ranking, limit: int = MAX_ROC_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """False- and true-positive rates from (0, 0) to (1, 1), at most ``limit`` points, all of them on the full curve.

    Corners are kept and points on straight stretches dropped; if that is not enough, the points nearest to equal steps
    along the curve stay.

    Args:
        limit: at least 2.
    """
    tp = np.concatenate(([0], ranking.true_positives))
    fp = np.concatenate(([0], ranking.false_positives))
    step_tp, step_fp = np.diff(tp), np.diff(fp)
    bends = step_tp[1:] * step_fp[:-1] != step_tp[:-1] * step_fp[1:]
    keep = np.concatenate(([True], bends, [True]))
    fpr, tpr = fp[keep] / ranking.negatives, tp[keep] / ranking.positives
    if fpr.size > limit:
        along = fpr + tpr  # grows strictly: every step adds a positive or a negative row
        wanted = np.linspace(0.0, 2.0, limit)
        right = np.clip(np.searchsorted(along, wanted), 1, along.size - 1)
        nearest = np.where(wanted - along[right - 1] <= along[right] - wanted, right - 1, right)
        keep = np.unique(np.concatenate(([0], nearest[1:-1], [along.size - 1])))
        fpr, tpr = fpr[keep], tpr[keep]
    return fpr, tpr
