"""Rows that occur more than once."""

import pandas as pd

from veilflow.components.data.names import listed
from veilflow.components.errors import ComponentError


def drop_equal_rows(frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """``frame`` without rows equal to an earlier one in every column, and how many there were."""
    again = frame.duplicated()
    return frame[~again].reset_index(drop=True), int(again.sum())


def resolve_duplicates(frame: pd.DataFrame, ids: list[str], keep: str) -> tuple[pd.DataFrame, int]:
    """``frame`` with rows of a repeated ID resolved, and the number of surplus rows found.

    Args:
        ids: ID columns; together they name a person. Empty: nothing is done.
        keep: ``error``, ``first``, ``last`` or ``keep`` (only count).

    Raises:
        ComponentError: with ``keep="error"``, if an ID occurs twice.
    """
    again = frame.duplicated(ids, keep="last" if keep == "last" else "first") if ids else pd.Series(dtype=bool)
    count = int(again.sum())
    if count and keep == "error":
        raise ComponentError(
            f"{count} of {len(frame)} rows repeat an earlier {listed(ids)}. Set duplicates: first, last or keep."
        )
    if not count or keep == "keep":
        return frame, count
    return frame[~again].reset_index(drop=True), count
