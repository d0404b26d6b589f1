"""Cells as text that means the same however they were stored: the one way from a stored ID to its text.

``7``, ``7.0`` (a float) and ``"7"`` all become ``7``; a date, or a timestamp at midnight, becomes ``2024-01-31``; NaN,
NaT and None are missing. Text stays as it is. A float from 2**53 on (2**24 in single precision) has lost digits already
and cannot tell people apart: such cells are counted, and the caller refuses them.
"""

from __future__ import annotations

import datetime
import decimal
import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

LIMITS = {pa.float64(): 2.0**53, pa.float32(): 2.0**24, pa.float16(): 2.0**11}
"""Whole floats below these are exact."""


def exact_text(column: pa.ChunkedArray | pa.Array) -> tuple[pa.ChunkedArray, int]:
    """``column`` as text (``string``), and how many of its cells cannot be told apart exactly (they become missing).

    Raises:
        TypeError: a type that has no text, such as a list.
    """
    chunked = pa.chunked_array([column]) if isinstance(column, pa.Array) else column
    kind = chunked.type
    if pa.types.is_dictionary(kind):
        return exact_text(chunked.cast(kind.value_type))
    if pa.types.is_string(kind):
        return chunked, 0
    if pa.types.is_null(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind):
        return chunked.cast(pa.string()), 0
    if kind in LIMITS:
        return _of_floats(chunked, LIMITS[kind])
    if pa.types.is_boolean(kind):
        return chunked.cast(pa.string()), 0
    if pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        cells = [text_of(cell) for cell in chunked.to_pylist()]
        return pa.chunked_array([pa.array(cells, pa.string())]), 0
    raise TypeError(f"no text for cells of type {kind}")


def _of_floats(column: pa.ChunkedArray, limit: float) -> tuple[pa.ChunkedArray, int]:
    values = column.to_numpy()  # missing cells become NaN
    with np.errstate(invalid="ignore"):
        finite = np.isfinite(values)
        exact = finite & (np.abs(values) < limit)
        whole = exact & (values == np.floor(values))
    inexact = int((~np.isnan(values) & ~exact).sum())
    digits = np.where(whole, values, 0).astype(np.int64)
    text = pc.if_else(pa.array(whole), pa.array(digits).cast(pa.string()), pa.scalar(None, pa.string()))
    fractions = np.flatnonzero(exact & ~whole)
    if len(fractions):
        # numpy writes the shortest text that gives the number back, at its own precision
        shortest = pa.array([str(cell) for cell in values[fractions]], pa.string())
        text = pc.replace_with_mask(text, pa.array(exact & ~whole), shortest)
    return pa.chunked_array([text]), inexact


def text_of(cell: Any) -> str | None:
    """One cell's text; None where it is missing.

    Guarantees: the same as `exact_text`, cell by cell. A float beyond its limit is not noticed here: `is_inexact`.
    """
    if isinstance(cell, str):
        return str(cell)
    if cell is None or cell is pd.NA or cell != cell:  # NaN and NaT are not equal to themselves
        return None
    if isinstance(cell, (bool, np.bool_)):
        return "true" if cell else "false"
    if isinstance(cell, (float, np.floating)) and float(cell).is_integer():
        return str(int(cell))
    if isinstance(cell, decimal.Decimal):
        return str(int(cell)) if cell == cell.to_integral_value() else format(cell.normalize(), "f")
    if isinstance(cell, datetime.datetime):
        return cell.date().isoformat() if cell.time() == datetime.time() else cell.isoformat(sep=" ")
    if isinstance(cell, (datetime.date, datetime.time)):
        return cell.isoformat()
    return str(cell)


def is_inexact(cell: Any) -> bool:
    """Whether ``cell`` is a float that has lost digits, or is infinite."""
    if isinstance(cell, (float, np.floating)):
        limit = 2.0**24 if isinstance(cell, np.float32) else 2.0**53
        return math.isinf(cell) or abs(float(cell)) >= limit
    return False
