"""What depends on a threshold: the confusion matrix and the rates taken from it."""

from dataclasses import dataclass

import numpy as np

from veilflow.components.application.evaluate.scores import Scores


@dataclass(frozen=True)
class Confusion:
    """Row counts by true and predicted class. A rate with nothing to divide by is NaN: undefined, not zero."""

    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int

    @property
    def rows(self) -> int:
        return self.true_positive + self.false_positive + self.true_negative + self.false_negative

    @property
    def accuracy(self) -> float:
        """Share of rows put in the right class."""
        return _share(self.true_positive + self.true_negative, self.rows)

    @property
    def precision(self) -> float:
        """Share of the predicted positives that are positive; NaN where none is predicted."""
        return _share(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """Share of the positives that are found (sensitivity)."""
        return _share(self.true_positive, self.true_positive + self.false_negative)

    @property
    def specificity(self) -> float:
        """Share of the negatives that are left alone."""
        return _share(self.true_negative, self.true_negative + self.false_positive)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, as 2 TP / (2 TP + FP + FN): 0 where no positive is found."""
        return _share(2 * self.true_positive, 2 * self.true_positive + self.false_positive + self.false_negative)


def confusion(scores: Scores, threshold: float) -> Confusion:
    """Counts with every row scored at or above ``threshold`` predicted positive."""
    flagged = scores.score >= threshold
    hits = int(np.count_nonzero(flagged & scores.label))
    alarms = int(np.count_nonzero(flagged))
    positives = int(np.count_nonzero(scores.label))
    return Confusion(
        true_positive=hits,
        false_positive=alarms - hits,
        true_negative=len(scores) - positives - (alarms - hits),
        false_negative=positives - hits,
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
