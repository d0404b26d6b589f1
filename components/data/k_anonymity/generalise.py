"""What a class shows in place of its rows' own values."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

ANYTHING = "*"


def as_numbers(column: pd.Series) -> np.ndarray:
    """A quasi-identifier as float64: numbers as they are, text as its rank in the alphabet. No cell is missing."""
    if column.dtype == object:
        return np.asarray(np.unique(column.to_numpy(dtype=str), return_inverse=True)[1], dtype=np.float64)
    return np.asarray(column, dtype=np.float64)


def generalised(column: pd.Series, groups: Sequence[np.ndarray], release: str) -> pd.Series:
    """``column`` with every row showing its class instead of itself.

    Args:
        column: no cell missing.
        groups: per class the positions of its rows; together all rows.
        release: for numbers, ``midpoint`` of the class's range or the ``range`` as text ``low..high``.

    Returns:
        Numbers as float64, ranges as text; text as the class's words joined by ``|``, or ``*`` if these are all words.
    """
    if column.dtype == object:
        return _words(column, groups)
    values = column.to_numpy(dtype=np.float64)
    low, high = _per_group(values, groups)
    if release == "midpoint":
        shown = low + (high - low) / 2
    else:
        shown = np.array([_range(a, b) for a, b in zip(low, high, strict=True)], dtype=object)
    return pd.Series(_spread(shown, groups, len(column)), index=column.index, name=column.name)


def loss(column: pd.Series, groups: Sequence[np.ndarray]) -> float:
    """Normalised certainty penalty of a column (Xu et al. 2006): 0 is nothing lost, 1 is everything.

    It is the mean over rows of their class's width as a share of the column's whole width; for text, a width is the
    number of different words less one.
    """
    rows = sum(group.size for group in groups)
    if column.dtype == object:
        words = column.to_numpy(dtype=str)
        whole = np.unique(words[np.concatenate(groups)]).size - 1
        widths = np.array([np.unique(words[group]).size - 1 for group in groups], dtype=np.float64)
    else:
        low, high = _per_group(column.to_numpy(dtype=np.float64), groups)
        whole, widths = high.max() - low.min(), high - low
    sizes = np.array([group.size for group in groups])
    return float((widths * sizes).sum() / (whole * rows)) if whole else 0.0


def _words(column: pd.Series, groups: Sequence[np.ndarray]) -> pd.Series:
    values = column.to_numpy(dtype=str)
    every = np.unique(values).size
    found = [np.unique(values[group]) for group in groups]
    shown = np.array(
        [ANYTHING if words.size == every and every > 1 else "|".join(words) for words in found], dtype=object
    )
    return pd.Series(_spread(shown, groups, len(column)), index=column.index, name=column.name)


def _per_group(values: np.ndarray, groups: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value of each group."""
    starts = np.cumsum([0, *(group.size for group in groups[:-1])])
    ordered = values[np.concatenate(groups)]
    return np.minimum.reduceat(ordered, starts), np.maximum.reduceat(ordered, starts)


def _spread(shown: np.ndarray, groups: Sequence[np.ndarray], rows: int) -> np.ndarray:
    out = np.empty(rows, dtype=shown.dtype)
    out[np.concatenate(groups)] = np.repeat(shown, [group.size for group in groups])
    return out


def _range(low: float, high: float) -> str:
    return f"{low:.12g}" if low == high else f"{low:.12g}..{high:.12g}"
