"""From an arrow table to a pandas frame with numbers, booleans and text, and nothing else."""

import pandas as pd
import pyarrow as pa

from veilflow.datasets.errors import SourceError
from veilflow.datasets.exact_text import exact_text
from veilflow.datasets.wanted import Wanted


def columns_of(table: pa.Table) -> dict[str, str]:
    """Per column ``number``, ``text`` or ``empty``, as `require_header` takes it."""
    return {field.name: _sort_of(field.type) for field in table.schema}


def _sort_of(kind: pa.DataType) -> str:
    if pa.types.is_null(kind):
        return "empty"
    return "number" if _is_number(kind) or pa.types.is_decimal(kind) or pa.types.is_boolean(kind) else "text"


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def to_frame(table: pa.Table, wanted: Wanted, called: str) -> pd.DataFrame:
    """Numbers and booleans as pandas has them, columns without a cell as missing numbers, all else as text.

    Raises:
        SourceError: a type that has no text (a list, bytes that are no UTF-8), floats that are to be text and have lost
            digits; all columns at once.
    """
    strange: list[str] = []
    inexact: dict[str, int] = {}
    for index, field in enumerate(table.schema):
        column, kind = table.column(index), field.type
        as_text = field.name in wanted.text
        if not as_text and (_is_number(kind) or pa.types.is_boolean(kind)):
            continue
        if not as_text and (pa.types.is_null(kind) or pa.types.is_decimal(kind)):
            column = column.cast(pa.float64())
        elif not pa.types.is_string(kind):
            try:
                bytes_ = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
                column, lost = exact_text(column.cast(pa.string()) if bytes_ else column)
            except (TypeError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
                strange.append(field.name)
                continue
            if lost:
                inexact[field.name] = lost
        table = table.set_column(index, field.name, column)
    if strange:
        public, own = wanted.told(strange)
        raise SourceError(
            f"{called}: {public} of {table.num_columns} hold(s) lists, structures or bytes that are no text; leave "
            "them out with drop.",
            f"neither numbers nor text: {own}",
        )
    if inexact:
        counts = ", ".join(f"'{name}' in {count} of {table.num_rows} cells" for name, count in inexact.items())
        raise SourceError(
            f"{called}: column(s) read as text hold floats that have lost digits or are infinite: {counts}. A float is "
            "exact below 2**53 only (2**24 in single precision): write IDs as text or as whole numbers where the file "
            "is made."
        )
    return table.to_pandas(ignore_metadata=True)
