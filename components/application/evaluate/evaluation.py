"""All figures of one table of scores, as a document of plain numbers that can travel and be stored."""

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from veilflow.components.application.evaluate.calibration import brier, calibration, log_loss
from veilflow.components.application.evaluate.confusion import confusion
from veilflow.components.application.evaluate.groups import by_group
from veilflow.components.application.evaluate.ranking import auc, ks, rank, roc
from veilflow.components.application.evaluate.scores import check_scores
from veilflow.components.application.evaluate.threshold import ThresholdRule, choose_threshold


@dataclass(frozen=True)
class Settings:
    """What a user chooses; public.

    Attributes:
        score, label: column names.
        groups: column whose values split the rows, or empty.
        threshold: how the decision threshold is found.
        bins: about how many points the calibration curve has.
    """

    score: str
    label: str
    groups: str = ""
    threshold: ThresholdRule = field(default_factory=ThresholdRule)
    bins: int = 10


def evaluate(frame: pd.DataFrame, settings: Settings) -> dict[str, Any]:
    """Judge the rows of ``frame``.

    Returns:
        ``metrics`` and ``confusion`` (name -> number), ``roc``, ``calibration`` and ``groups`` (column -> list; groups
        is empty when not asked for). Undefined figures are NaN.

    Raises:
        ComponentError: what `check_scores` and `by_group` refuse.
    """
    scores = check_scores(frame[settings.score], frame[settings.label])
    ranking = rank(scores)
    threshold = choose_threshold(ranking, settings.threshold)
    counts = confusion(scores, threshold)
    curve = calibration(scores, settings.bins)
    false_positive_rate, true_positive_rate = roc(ranking)
    return {
        "metrics": {
            "auc": auc(ranking),
            "accuracy": counts.accuracy,
            "f1": counts.f1,
            "ks": ks(ranking),
            "precision": counts.precision,
            "recall": counts.recall,
            "specificity": counts.specificity,
            "brier": brier(scores),
            "log_loss": log_loss(scores),
            "threshold": threshold,
            "positives": int(np.count_nonzero(scores.label)),
            "rows": len(scores),
        },
        "roc": {
            "false_positive_rate": false_positive_rate.tolist(),
            "true_positive_rate": true_positive_rate.tolist(),
        },
        "calibration": {name: column.tolist() for name, column in asdict(curve).items()},
        "confusion": asdict(counts),
        "groups": by_group(scores, frame[settings.groups], threshold) if settings.groups else {},
    }


def to_json(document: dict[str, Any]) -> bytes:
    """The document as JSON; what is undefined (NaN) becomes null, which JSON readers everywhere accept."""
    return json.dumps(_finite(document), indent=2, allow_nan=False).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
