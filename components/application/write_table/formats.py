"""A frame as the bytes of a CSV or Parquet file."""

import re

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

FORMATS = ("csv", "parquet")

FORMULA = "^[=+\\-@\t\r\n＝＋－＠]"
"""How a text begins that a spreadsheet would take for a formula, or strip until it is one (as OWASP lists them)."""


def to_bytes(frame: pd.DataFrame, fmt: str) -> bytes:
    """``frame`` without its index; missing values are empty in CSV and null in Parquet, floats keep every digit.

    In CSV no text is a formula to a spreadsheet: cells of text columns, and column names, that begin like one
    (`FORMULA`) get an apostrophe before them. Numbers stay as they are, and so does everything in Parquet.

    Args:
        fmt: one of `FORMATS`.
    """
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    sink = pa.BufferOutputStream()
    if fmt == "csv":
        pa_csv.write_csv(_without_formulas(table), sink)
    elif fmt == "parquet":
        pa_parquet.write_table(table, sink)
    else:
        raise ValueError(f"to_bytes: format must be one of {', '.join(FORMATS)}, got '{fmt}'.")
    return bytes(sink.getvalue().to_pybytes())


def _without_formulas(table: pa.Table) -> pa.Table:
    names = [f"'{name}" if re.match(FORMULA, name) else name for name in table.column_names]
    return pa.table([_harmless(column) for column in table.columns], names)


def _harmless(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    begins = pc.match_substring_regex(column, FORMULA)
    if not pc.any(begins).as_py():
        return column
    marked = pc.binary_join_element_wise(pa.scalar("'", column.type), column, pa.scalar("", column.type))
    return pc.if_else(begins, marked, column)
