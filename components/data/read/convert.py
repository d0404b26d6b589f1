"""One column to its type, with the number of cells that do not fit."""

import numpy as np
import pandas as pd
import pyarrow as pa

from veilflow.components.errors import ComponentError
from veilflow.datasets.exact_text import exact_text, text_of

YES = frozenset({"true", "yes", "y", "t", "1", "1.0"})
"""Cells of a ``bool`` column that mean 1, in lower case; `NO` those that mean 0."""
NO = frozenset({"false", "no", "n", "f", "0", "0.0"})


def convert(column: pd.Series, kind: str | None) -> tuple[pd.Series, int]:
    """``column`` as ``kind``.

    Args:
        column: numbers, booleans or text, with missing cells.
        kind: ``int``, ``float``, ``bool``, ``str``, or None for what the cells look like.

    Returns:
        The converted column and the number of cells that were present but did not fit and are missing now. Dtypes:
        int64; float64 (also for ``int`` and ``bool`` with missing cells) or float32 where it was; object for text.
    """
    if kind is None:
        return _as_it_looks(column), 0
    if kind == "str":
        return _text(column), 0
    numbers = _booleans(column) if kind == "bool" else _numbers(column)
    if kind == "int":
        whole = np.isfinite(numbers) & (numbers == np.floor(numbers)) if numbers.dtype.kind == "f" else None
        numbers = numbers if whole is None else numbers.where(whole)
    failures = int((column.notna() & numbers.isna()).sum())
    if kind == "float":
        return numbers.astype(np.float64), failures
    return _whole_if_complete(numbers), failures


def looks_numeric(column: pd.Series) -> int:
    """Of a text column, how many cells could be read as a number."""
    return int(_numbers(column).notna().sum())


def field_type(column: pd.Series) -> str:
    """The name of a converted column's type in a SecretFlow schema."""
    return "str" if column.dtype == object else str(column.dtype)


def _as_it_looks(column: pd.Series) -> pd.Series:
    if column.dtype == object:
        present = column.dropna()
        if len(present) and present.map(lambda cell: isinstance(cell, (bool, np.bool_))).all():
            return column.astype(np.float64)  # booleans with gaps
        return _text(column)
    if column.dtype.kind == "b":
        return column.astype(np.int64)
    if column.dtype.kind == "f":
        return column if column.dtype == np.float32 else column.astype(np.float64)
    if column.dtype == np.uint64 and (column > np.iinfo(np.int64).max).any():
        return column.astype(np.float64)
    return column.astype(np.int64)


def _text(column: pd.Series) -> pd.Series:
    """See `exact_text`: pandas widens whole numbers to floats where cells are missing, so 7.0 stands for 7."""
    if column.dtype == object:
        return column.map(text_of).astype(object)
    text, lost = exact_text(pa.array(column, from_pandas=True))
    if lost:
        raise ComponentError(
            f"column '{column.name}' is to be text, and {lost} of its {len(column)} numbers are floats that have lost "
            "digits or are infinite; write them as text or whole numbers where the file is made."
        )
    return pd.Series(text.to_pandas().to_numpy(), index=column.index, name=column.name, dtype=object)


def _numbers(column: pd.Series) -> pd.Series:
    if column.dtype == object:
        return pd.to_numeric(column.map(lambda cell: cell.strip() if isinstance(cell, str) else cell), errors="coerce")
    return column.astype(np.int64) if column.dtype.kind == "b" else column


def _booleans(column: pd.Series) -> pd.Series:
    words = column.map(lambda cell: None if pd.isna(cell) else str(cell).strip().lower())
    return words.map(lambda word: 1.0 if word in YES else 0.0 if word in NO else np.nan).astype(np.float64)


def _whole_if_complete(numbers: pd.Series) -> pd.Series:
    if numbers.isna().any():
        return numbers.astype(np.float64)
    return numbers.astype(np.int64)
