"""A table's label, checked at its holder before anything of the table is shared or trained on. Light: no JAX.

Every trainer calls `check_binary_label` first. Shares of a label that is not 0 and 1 cannot be looked at any more: the
training would go on and report nonsense.
"""

from typing import Any

import numpy as np
import pandas as pd

from veilflow.components.data.read.convert import NO, YES
from veilflow.components.errors import ComponentError

_TEXT_ADVICE = (
    "read it as 0 and 1 in data/read_table: with types: [{column}:bool] where its cells say yes/no, Y/N or true/false; "
    "else with label_is: and the cell that means 1"
)


def check_binary_label(values: Any, column: str, both: bool = True) -> np.ndarray:
    """The label as 0.0 and 1.0, float32, shape (rows,).

    Args:
        values: one label a row: a pandas series, a numpy array, or an arrow array.
        column: its name, for messages.
        both: both classes must be there.

    Raises:
        ComponentError: a label is missing, is neither 0 nor 1, or there is one class only. Messages hold counts that
            tell nothing about a single row, and what to change in the pipeline file.
    """
    label = _series(values)
    missing = int(label.isna().sum())
    if missing:
        raise ComponentError(
            f"label '{column}' is missing in {missing} of {len(label)} rows; leave these out with incomplete_rows: "
            "drop in data/read_table."
        )
    numbers = pd.to_numeric(label, errors="coerce").to_numpy(dtype=np.float64)
    if not np.isin(numbers, (0.0, 1.0)).all():
        raise ComponentError(
            f"label '{column}' is not 0 and 1: {label.nunique()} distinct value(s) in {len(label)} rows, and a model "
            f"here tells two classes apart; {_advice(label, numbers, column)}."
        )
    if both and len(np.unique(numbers)) < 2:
        raise ComponentError(
            f"label '{column}' holds one class only in {len(label)} row(s): nothing can be learned or judged by it. "
            "Bring rows of both classes."
        )
    found: np.ndarray = numbers.astype(np.float32)
    return found


def require_number_label(party: str, kind: str, column: str) -> None:
    """Refuse a label that is text, by its public type, before any row is looked at.

    Raises:
        ComponentError: it is.
    """
    if str(kind) == "str":
        raise ComponentError(
            f"label '{column}' at {party} is text, and a model here takes 0 and 1; "
            f"{_TEXT_ADVICE.format(column=column)}."
        )


def _series(values: Any) -> pd.Series:
    if hasattr(values, "to_pandas"):  # arrow
        values = values.to_pandas()
    return values if isinstance(values, pd.Series) else pd.Series(np.asarray(values))


def _advice(label: pd.Series, numbers: np.ndarray, column: str) -> str:
    if np.isnan(numbers).any():
        words = {str(cell).strip().lower() for cell in label.unique()}
        if words <= YES | NO:
            return f"its cells read as yes and no: set types: [{column}:bool] in data/read_table"
        return _TEXT_ADVICE.format(column=column)
    if label.nunique() == 2:
        return "set label_above: to the lower of its two values in data/read_table, so that the higher one becomes 1"
    return "set label_above: to a threshold, or label_is: to the one value that counts as 1, in data/read_table"
