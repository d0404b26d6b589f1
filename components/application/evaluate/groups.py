"""The same figures for subsets of the rows: does the model serve every group equally well?"""

import numpy as np
import pandas as pd

from veilflow.components.application.evaluate.confusion import confusion
from veilflow.components.application.evaluate.ranking import auc, rank
from veilflow.components.application.evaluate.scores import Scores
from veilflow.components.application.limits import MIN_GROUP_ROWS
from veilflow.components.errors import ComponentError

MAX_GROUPS = 50
POOLED = "(smaller groups together)"
MISSING = "(missing)"


def by_group(scores: Scores, groups: pd.Series, threshold: float) -> dict[str, list[float | int | str]]:
    """Figures per value of ``groups``, as the columns of a table.

    Args:
        scores: the checked rows.
        groups: one value per row, in the same order; missing values form a group of their own.
        threshold: the same for every group.

    Returns:
        group, rows, positives, auc (NaN where a group has one class), accuracy, precision, recall, specificity. Groups
        under `MIN_GROUP_ROWS` rows are pooled; if the pool is still too small it is left out.

    Raises:
        ComponentError: more than `MAX_GROUPS` values, which is a sign of an identifier or a measurement.
    """
    # Categories would keep their own codes for values that do not occur; text does not.
    names = groups.astype(object).where(groups.notna(), MISSING).map(str).to_numpy()
    values, member = np.unique(names.astype(str), return_inverse=True)
    if values.size > MAX_GROUPS:
        raise ComponentError(
            f"evaluate: column '{groups.name}' has {values.size} distinct values, but figures by group are given for "
            f"at most {MAX_GROUPS}. Choose a column with few categories."
        )
    rows = np.bincount(member)
    large = rows >= MIN_GROUP_ROWS
    chosen = [(str(values[code]), member == code) for code in np.flatnonzero(large)]
    rest = ~large[member]
    if np.count_nonzero(rest) >= MIN_GROUP_ROWS:
        chosen.append((POOLED, rest))
    table: dict[str, list[float | int | str]] = {}
    for name, mask in chosen:
        for column, value in _figures(name, Scores(scores.score[mask], scores.label[mask]), threshold).items():
            table.setdefault(column, []).append(value)
    return table


def _figures(name: str, part: Scores, threshold: float) -> dict[str, float | int | str]:
    counts, positives = confusion(part, threshold), int(np.count_nonzero(part.label))
    return {
        "group": name,
        "rows": len(part),
        "positives": positives,
        "auc": auc(rank(part)) if 0 < positives < len(part) else float("nan"),
        "accuracy": counts.accuracy,
        "precision": counts.precision,
        "recall": counts.recall,
        "specificity": counts.specificity,
    }
