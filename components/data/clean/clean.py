"""The whole of one party's cleaning, in a fixed order."""

from typing import Any

import pandas as pd

from veilflow.components.data.clean.rows import drop_equal_rows, resolve_duplicates
from veilflow.components.data.clean.rule import clean_columns, fit_clean
from veilflow.components.data.clean.spec import CleanSpec
from veilflow.components.errors import ComponentError


def clean(
    frame: pd.DataFrame, ids: list[str], features: list[str], label: list[str], spec: CleanSpec
) -> tuple[pd.DataFrame, dict[str, Any], dict[str, Any]]:
    """``frame`` cleaned: equal rows, then repeated IDs, then outliers, then missing cells.

    Args:
        ids, features, label: the columns of ``frame`` by kind; IDs and labels are never changed.

    Returns:
        The cleaned frame; the rule, to clean other rows in the same way; and counts that may be public.

    Raises:
        ComponentError: as `resolve_duplicates` and `fit_clean`, or if no row is left.
    """
    rows = len(frame)
    equal = 0
    if spec.equal_rows == "drop":
        frame, equal = drop_equal_rows(frame)
    frame, repeated = resolve_duplicates(frame, ids, spec.duplicates)
    rule = fit_clean(frame, features, spec)
    cleaned, by_column = clean_columns(frame, rule)
    needed = [name for name in features if spec.missing_of(name) == "drop_rows"]
    whole = cleaned[[*needed, *(label if needed else [])]].notna().all(axis=1)
    if not whole.any():
        raise ComponentError(f"none of the {rows} rows is left: each has a missing cell. Fill them, or drop columns.")
    counts = {
        "rows_in": rows,
        "equal_rows": equal,
        "repeated_ids": repeated,
        "rows_with_gaps_dropped": int((~whole).sum()),
        "rows": int(whole.sum()),
        "columns": by_column,
    }
    return cleaned[whole].reset_index(drop=True), rule, counts
