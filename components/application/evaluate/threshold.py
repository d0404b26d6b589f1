"""Where to draw the line: rows scored at or above the threshold count as predicted positive.

A threshold that falls on one row's score would publish that score. Chosen thresholds are therefore the decimal with the
fewest digits that separates the same rows.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from veilflow.components.application.evaluate.ranking import Ranking, gaps

Rule = Literal["fixed", "youden", "f1", "quantile"]


@dataclass(frozen=True)
class ThresholdRule:
    """How the threshold is found; public.

    Attributes:
        rule: ``fixed`` takes ``value`` itself; ``youden`` maximises true- minus false-positive rate; ``f1`` maximises
            F1; ``quantile`` puts a share ``value`` of the rows below the line (more if scores tie).
        value: in 0..1; used by ``fixed`` and ``quantile``.
    """

    rule: Rule = "fixed"
    value: float = 0.5


def choose_threshold(ranking: Ranking, rule: ThresholdRule) -> float:
    """The threshold in 0..1. Of several equally good ones the highest: it flags the fewest rows."""
    if rule.rule == "fixed":
        return rule.value
    if rule.rule == "youden":
        at = int(np.argmax(gaps(ranking)))
    elif rule.rule == "f1":
        flagged = ranking.true_positives + ranking.false_positives
        at = int(np.argmax(2 * ranking.true_positives / (flagged + ranking.positives)))
    else:
        at = _quantile(ranking, rule.value)
    if at == ranking.score.size - 1:
        return 0.0  # the lowest score of all: every row is flagged
    return shortest_between(float(ranking.score[at + 1]), float(ranking.score[at]))


def _quantile(ranking: Ranking, share: float) -> int:
    """Index of the lowest distinct score with at least ``share`` of all rows below it; the top one if there is none."""
    flagged = ranking.true_positives + ranking.false_positives
    rows = int(flagged[-1])
    below = rows - flagged
    # A share such as 0.7 of 10 rows means 7 rows, although 0.7 * 10 is a little more than that in binary.
    enough = np.flatnonzero(below >= share * rows - 1e-9 * rows)
    return int(enough[-1]) if enough.size else 0


def shortest_between(low: float, high: float) -> float:
    """The decimal with the fewest digits in ``(low, high]``, with 0 <= low < high <= 1.

    With scores closer together than 17 digits it is ``high`` itself.
    """
    for digits in range(18):
        scale = 10.0**digits
        candidate = (math.floor(low * scale) + 1) / scale
        if low < candidate <= high:
            return candidate
    return high
