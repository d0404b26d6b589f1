"""Do scores mean what they say: Brier score, log loss, and the calibration curve."""

from dataclasses import dataclass

import numpy as np

from veilflow.components.application.evaluate.scores import Scores

MIN_BIN_ROWS = 10
"""No point of the calibration curve describes fewer rows, unless there are fewer in all."""


@dataclass(frozen=True)
class CalibrationCurve:
    """One entry per bin, lowest scores first.

    Attributes:
        mean_score: float64, shape ``(bins,)``.
        positive_rate: float64, shape ``(bins,)``: share of positive rows among the bin's rows.
        rows: int64, shape ``(bins,)``.
    """

    mean_score: np.ndarray
    positive_rate: np.ndarray
    rows: np.ndarray


def brier(scores: Scores) -> float:
    """Mean squared distance between score and label (Brier 1950); 0 is perfect, 0.25 is a constant 0.5."""
    return float(np.mean((scores.score - scores.label) ** 2))


def log_loss(scores: Scores) -> float:
    """Mean negative log likelihood in nats. Scores are kept 2.2e-16 away from 0 and 1, as scikit-learn does."""
    tiny = float(np.finfo(np.float64).eps)
    of_truth = np.where(scores.label, scores.score, 1.0 - scores.score)
    return float(-np.mean(np.log(np.clip(of_truth, tiny, 1.0 - tiny))))


def calibration(scores: Scores, bins: int) -> CalibrationCurve:
    """Mean score against share of positives in about ``bins`` groups of about equally many rows.

    Tied scores stay in one bin, and a bin has at least `MIN_BIN_ROWS` rows: fewer would show single labels.
    """
    order = np.argsort(scores.score, kind="stable")
    score, label = scores.score[order], scores.label[order]
    starts = _bin_starts(score, max(-(-score.size // bins), MIN_BIN_ROWS))
    rows = np.diff(np.append(starts, score.size))
    return CalibrationCurve(
        mean_score=np.add.reduceat(score, starts) / rows,
        positive_rate=np.add.reduceat(label.astype(np.float64), starts) / rows,
        rows=rows,
    )


def _bin_starts(rising: np.ndarray, size: int) -> np.ndarray:
    """Where the bins begin: each takes ``size`` rows and the ties of its last; a short rest joins the bin before."""
    tie_ends = np.append(np.flatnonzero(np.diff(rising)) + 1, rising.size)
    starts = [0]
    while starts[-1] < rising.size:
        at = int(np.searchsorted(tie_ends, starts[-1] + size))
        starts.append(int(tie_ends[at]) if at < tie_ends.size else rising.size)
    starts.pop()
    if len(starts) > 1 and rising.size - starts[-1] < min(size, MIN_BIN_ROWS):
        starts.pop()
    return np.array(starts)
