"""Fit a scaling rule on one table, apply it to any other.

A rule is a JSON document: ``{"type": "scale", "version": 1, "columns": {name: {"shift": s, "factor": f}}}``, and a
value x becomes ``(x - s) * f``. It holds statistics of the rows it was fitted on and stays with its owner.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from veilflow.components.data.names import listed, require_columns
from veilflow.components.errors import ComponentError

TYPE = "scale"
Rule = Mapping[str, Any]
_STRETCHED = 10.0
_QUARTILES = 1.349
"""The distance between a normal distribution's quartiles, in standard deviations."""


def fit_scale(
    frame: pd.DataFrame, features: Sequence[str], method: str, by_column: Mapping[str, str]
) -> dict[str, Any]:
    """The rule that brings the rows of ``frame`` to scale; missing cells are left out of account.

    Args:
        features: columns to scale; text columns among them are passed over unless ``by_column`` names them.
        method: ``standard`` (divisor n), ``minmax`` or ``none``.
        by_column: a method per column that differs.

    Guarantees (tests/components/data/scale):
        - on the fitted rows, a column has mean 0 and standard deviation 1, or lowest 0 and highest 1;
        - a column that is constant there has factor 0: it becomes 0 everywhere, whatever other rows hold, because a
          model cannot have learned anything from it.

    Raises:
        ComponentError: infinite numbers, a column without values, a text or unknown column in ``by_column``.
    """
    require_columns(by_column, features, "the features of this party's table")
    text = [name for name in by_column if frame[name].dtype == object and by_column[name] != "none"]
    if text:
        raise ComponentError(f"text columns cannot be scaled: {listed(text)}.")
    columns = {}
    for name in features:
        chosen = by_column.get(name, method)
        if chosen != "none" and frame[name].dtype != object:
            columns[name] = _fit_column(frame[name], chosen)
    return {"type": TYPE, "version": 1, "columns": columns}


def apply_scale(frame: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    """``frame`` with the rule's columns scaled, as float64; missing cells stay missing.

    Raises:
        ComponentError: a column is absent or text.
    """
    require_columns(rule["columns"], frame.columns, "the table")
    text = [name for name in rule["columns"] if frame[name].dtype == object]
    if text:
        raise ComponentError(f"columns that were numbers when the rule was fitted are text now: {listed(text)}.")
    scaled = frame.copy()
    for name, part in rule["columns"].items():
        scaled[name] = (frame[name].astype(np.float64) - part["shift"]) * part["factor"]
    return scaled


def constant_columns(rule: Rule) -> list[str]:
    """Columns that had one value only where the rule was fitted."""
    return [name for name, part in rule["columns"].items() if part["factor"] == 0.0]


def stretched_columns(scaled: pd.DataFrame, rule: Rule) -> list[str]:
    """Of the rows that the rule was fitted on, scaled: columns whose deviation is that of a few values far out, as -999
    for a missing one, and `_STRETCHED` times what the quartiles would have it be: all others are nearly alike."""
    found = []
    for name in rule["columns"]:
        values = scaled[name].to_numpy(dtype=np.float64)
        values = values[~np.isnan(values)]
        low, high = np.quantile(values, (0.25, 0.75))
        if 0 < high - low < values.std() * _QUARTILES / _STRETCHED:
            found.append(name)
    return found


def _fit_column(column: pd.Series, method: str) -> dict[str, float]:
    values = column.to_numpy(dtype=np.float64)
    values = values[~np.isnan(values)]
    if not values.size:
        raise ComponentError(f"column '{column.name}' has no value to fit a scale on; drop it.")
    if np.isinf(values).any():
        raise ComponentError(
            f"column '{column.name}' has {int(np.isinf(values).sum())} infinite numbers; run data/clean before."
        )
    return _shift_and_factor(values, method)


def _shift_and_factor(values: np.ndarray, method: str) -> dict[str, float]:
    """Computed on values brought to [-2, 2], so that no square overflows; by a power of two, which is exact."""
    largest = math.ldexp(1.0, math.frexp(np.abs(values).max())[1] - 1)
    unit = values / largest
    shift, width = (unit.min(), np.ptp(unit)) if method == "minmax" else (unit.mean(), unit.std())
    # Below the rounding error of computing it, a width is no width (scikit-learn decides alike).
    factor = 0.0 if width <= 10 * np.finfo(np.float64).eps else 1.0 / float(width) / largest
    return {"shift": float(shift) * largest, "factor": factor if np.isfinite(factor) else 0.0}
