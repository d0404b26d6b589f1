"""From two columns to checked arrays: scores in 0..1 and labels that are really binary."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from veilflow.components.errors import ComponentError
from veilflow.components.training.labels import check_binary_label


class OneClassError(ComponentError):
    """Every row has the same label. The message holds the counts, so it is fit only for those who may learn them."""


@dataclass(frozen=True)
class Scores:
    """Rows that can be judged; built by `check_scores`.

    Attributes:
        score: float64, shape ``(n,)``, each in 0..1: the predicted probability of a positive row.
        label: bool, shape ``(n,)``: whether the row is positive. Both classes occur.
    """

    score: np.ndarray
    label: np.ndarray

    def __len__(self) -> int:
        return int(self.score.size)


def check_scores(score: pd.Series, label: pd.Series) -> Scores:
    """The rows of a scores table as arrays, or an error that says what is wrong with how many of them.

    Args:
        score: probabilities, any numeric dtype.
        label: 0/1 or false/true, any numeric or boolean dtype; same length as ``score``.

    Raises:
        OneClassError: every row has the same label.
        ComponentError: no rows, missing or infinite values, scores outside 0..1, labels other than 0 and 1.
    """
    if len(score) == 0:
        raise ComponentError("evaluate: the table has 0 rows; there is nothing to judge.")
    scores = _numbers(score)
    outside = int(np.count_nonzero((scores < 0) | (scores > 1)))
    if outside:
        raise ComponentError(
            f"evaluate: {outside} of {scores.size} values in score column '{score.name}' lie outside 0..1. "
            "Give probabilities: for logits, apply the logistic function first."
        )
    labels = _labels(label)
    return Scores(scores, labels == 1)


def _numbers(column: pd.Series) -> np.ndarray:
    rows, missing = len(column), int(column.isna().sum())
    if missing:
        raise ComponentError(
            f"evaluate: {missing} of {rows} values in score column '{column.name}' are missing (null or NaN). "
            "Remove or fill these rows before, or look at the training step: NaN scores often mean it diverged."
        )
    if not pd.api.types.is_numeric_dtype(column.dtype):  # booleans count as numeric here
        raise ComponentError(f"evaluate: score column '{column.name}' is of type {column.dtype}, but must be numeric.")
    values: np.ndarray = column.to_numpy(dtype=np.float64)
    infinite = int(np.count_nonzero(~np.isfinite(values)))
    if infinite:
        raise ComponentError(f"evaluate: {infinite} of {rows} values in score column '{column.name}' are infinite.")
    return values


def _labels(column: pd.Series) -> np.ndarray:
    """The label as 0.0 and 1.0, checked as every trainer checks it; both classes."""
    name = str(column.name)
    try:
        labels: np.ndarray = check_binary_label(column, name, both=False).astype(np.float64)
    except ComponentError as problem:
        raise ComponentError(f"evaluate: {problem}") from None
    positives = int(np.count_nonzero(labels))
    if positives in (0, labels.size):
        raise OneClassError(
            f"evaluate: label column '{name}' holds one class only ({positives} positive, {labels.size - positives} "
            "negative rows); AUC and KS need both. Evaluate on more rows or split the data with stratification."
        )
    return labels
