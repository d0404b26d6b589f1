"""Fit a cleaning rule on one table, apply it to any other.

A rule is a JSON document: ``{"type": "clean", "version": 1, "columns": {name: {"text": false, "bounds": [low, high] or
null, "action": "clip" or "blank", "fill": 3.5 or null, "missing": "median"}}}``. It holds statistics of the rows it was
fitted on and stays with its owner.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from veilflow.components.data.clean.bounds import outlier_bounds
from veilflow.components.data.clean.spec import CleanSpec
from veilflow.components.data.names import listed, require_columns
from veilflow.components.errors import ComponentError

TYPE = "clean"
Rule = Mapping[str, Any]


def fit_clean(frame: pd.DataFrame, features: Sequence[str], spec: CleanSpec) -> dict[str, Any]:
    """The rule that ``spec`` means on the rows of ``frame``.

    Raises:
        ComponentError: ``spec`` names a column that is no feature, an outlier rule is set for text, or a column to be
            filled from its own values has none.
    """
    named = [*spec.missing_by_column, *spec.outliers_by_column]
    require_columns(named, features, "the features of this party's table")
    columns = {name: _fit_column(frame[name], spec) for name in features}
    return {"type": TYPE, "version": 1, "columns": columns}


def apply_clean(frame: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    """``frame`` with outliers and missing cells treated by ``rule``; all rows stay.

    Raises:
        ComponentError: a column is absent or of another kind, or cells are missing that the rule does not fill.
    """
    cleaned, _ = clean_columns(frame, rule)
    open_gaps = {
        name: int(cleaned[name].isna().sum())
        for name, part in rule["columns"].items()
        if part["missing"] == "drop_rows"
    }
    if any(open_gaps.values()):
        counts = listed(f"{name} {count} of {len(frame)}" for name, count in open_gaps.items() if count)
        raise ComponentError(
            f"missing cells in {counts}: the rule was fitted with drop_rows, which says nothing about rows that must "
            "stay. Complete them, or fit the rule with mean, median, most_frequent or constant."
        )
    return cleaned


def clean_columns(frame: pd.DataFrame, rule: Rule) -> tuple[pd.DataFrame, dict[str, dict[str, int]]]:
    """``frame`` treated by ``rule``, and per column the counts ``infinite``, ``outliers``, ``missing`` (before
    filling, blanked cells among them) and ``filled``. Numbers come out as float64."""
    require_columns(rule["columns"], frame.columns, "the table")
    cleaned, counts = frame.copy(), {}
    for name, part in rule["columns"].items():
        cleaned[name], counts[name] = _clean_column(frame[name], part)
    return cleaned, counts


def _fit_column(column: pd.Series, spec: CleanSpec) -> dict[str, Any]:
    name, text = str(column.name), column.dtype == object
    missing, outliers = spec.missing_of(name), spec.outliers_of(name)
    if text and name in spec.outliers_by_column and outliers != "none":
        raise ComponentError(f"column '{name}' is text: it has no outliers; take it out of outliers_by_column.")
    if text:
        return {
            "text": True,
            "bounds": None,
            "action": "",
            "fill": _text_fill(column, missing, spec),
            "missing": missing,
        }
    values = column.to_numpy(dtype=np.float64)
    values = values[np.isfinite(values)]
    limits = {"quantile": spec.quantile, "zscore": spec.zscore, "iqr": spec.iqr}
    bounds = outlier_bounds(values, outliers, **limits) if values.size else None
    inside = values if bounds is None else _inside(values, bounds, spec.outlier_action)
    return {
        "text": False,
        "bounds": None if bounds is None else list(bounds),
        "action": spec.outlier_action,
        "fill": _number_fill(name, inside, missing, spec),
        "missing": missing,
    }


def _inside(values: np.ndarray, bounds: tuple[float, float], action: str) -> np.ndarray:
    low, high = bounds
    return np.clip(values, low, high) if action == "clip" else values[(values >= low) & (values <= high)]


def _number_fill(name: str, values: np.ndarray, missing: str, spec: CleanSpec) -> float | None:
    if missing in ("none", "drop_rows"):
        return None
    if missing == "constant":
        return float(spec.fill_number)
    if not values.size:
        raise ComponentError(f"column '{name}' has no value to fill gaps from; drop it or use missing: constant.")
    if missing == "mean":
        return float(values.mean())
    if missing == "median":
        return float(np.median(values))
    distinct, counts = np.unique(values, return_counts=True)
    return float(distinct[counts.argmax()])


def _text_fill(column: pd.Series, missing: str, spec: CleanSpec) -> str | None:
    if missing in ("none", "drop_rows"):
        return None
    if missing == "constant":
        return spec.fill_text
    if not column.notna().any():
        raise ComponentError(f"column '{column.name}' has no text to fill gaps from; drop it or use missing: constant.")
    counts = column.value_counts()
    return str(min(counts.index[counts == counts.max()]))


def _clean_column(column: pd.Series, part: Rule) -> tuple[pd.Series, dict[str, int]]:
    if (column.dtype == object) != part["text"]:
        kinds = ("text", "a number") if part["text"] else ("a number", "text")
        raise ComponentError(f"column '{column.name}' was {kinds[0]} when the rule was fitted, and is {kinds[1]} now.")
    infinite = outliers = 0
    if not part["text"]:
        column = column.astype(np.float64)
        infinite = int(np.isinf(column).sum())
        column = column.replace([np.inf, -np.inf], np.nan)
        column, outliers = _bound(column, part)
    missing = int(column.isna().sum())
    filled = column if part["fill"] is None else column.fillna(part["fill"])
    found = {"infinite": infinite, "outliers": outliers, "missing": missing}
    return filled, {**found, "filled": missing - int(filled.isna().sum())}


def _bound(column: pd.Series, part: Rule) -> tuple[pd.Series, int]:
    if part["bounds"] is None:
        return column, 0
    low, high = part["bounds"]
    outside = (column < low) | (column > high)
    treated = column.clip(low, high) if part["action"] == "clip" else column.mask(outside)
    return treated, int(outside.sum())
