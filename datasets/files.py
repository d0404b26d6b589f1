"""Readers of CSV, Parquet and npz files."""

import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from veilflow.datasets.errors import SourceError


def read_csv(path: Path, text_columns: Iterable[str] = ()) -> pd.DataFrame:
    """A comma-separated UTF-8 file with a header line.

    Args:
        text_columns: read as text as they stand, so that an ID of 007 stays 007; other columns become whole numbers,
            floats, booleans or text by their content. Names the file lacks are ignored.

    Raises:
        SourceError: empty, no rows, lines of unequal length (says how many and the first), columns named twice, not
            UTF-8.
    """
    bad: list[tuple[int | None, int, int]] = []

    def note(row: pa_csv.InvalidRow) -> str:
        bad.append((row.number, row.expected_columns, row.actual_columns))
        return "skip"

    convert = pa_csv.ConvertOptions(
        column_types={name: pa.string() for name in text_columns}, strings_can_be_null=True, timestamp_parsers=[]
    )
    quotes = _count_quotes(path)
    if quotes % 2:
        # Arrow would take everything after an open quote for one cell, without a word.
        raise SourceError(f"'{path.name}' has {quotes} quotes: one is left open, or stands alone inside a cell.")
    parse = pa_csv.ParseOptions(invalid_row_handler=note, newlines_in_values=quotes > 0)
    table = _arrow_csv(path, pa_csv.ReadOptions(), parse, convert)
    if bad:
        bad.clear()  # threads do not number lines: read once more with one
        _arrow_csv(path, pa_csv.ReadOptions(use_threads=False), parse, convert)
        line, expected, actual = bad[0]
        raise SourceError(
            f"'{path.name}': {len(bad)} line(s) do not have {expected} columns, the first is line {line} with {actual}."
            " Quote cells that hold a comma, and remove broken lines."
        )
    _check_shape(table, path.name)
    return _frame(table, path.name)


def _count_quotes(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b'"') for block in iter(lambda: file.read(1 << 22), b""))


def _arrow_csv(
    path: Path, read: pa_csv.ReadOptions, parse: pa_csv.ParseOptions, convert: pa_csv.ConvertOptions
) -> pa.Table:
    if path.stat().st_size == 0:
        raise SourceError(f"'{path.name}' is empty: it needs a header line and rows.")
    try:
        return pa_csv.read_csv(path, read_options=read, parse_options=parse, convert_options=convert)
    except (pa.ArrowInvalid, pa.ArrowKeyError) as problem:
        reason = "it is not UTF-8 text" if "UTF8" in str(problem) else "its lines are broken, or the file is no CSV"
    # Arrow's own text quotes the broken line, so it is not passed on, not even as the cause.
    raise SourceError(f"'{path.name}' cannot be read as CSV: {reason}.")


def read_parquet(path: Path, text_columns: Iterable[str] = ()) -> pd.DataFrame:
    """A Parquet file with flat columns; ``text_columns`` as in `read_csv`.

    Raises:
        SourceError: broken file, no rows, or a column of a nested type.
    """
    try:
        table = pa_parquet.read_table(path)
    except (pa.ArrowException, OSError):
        table = None
    if table is None:
        raise SourceError(f"'{path.name}' cannot be read as Parquet: the file is broken or of another format.")
    table = table.drop([name for name in table.column_names if name.startswith("__index_level_")])
    _check_shape(table, path.name)
    texts = set(text_columns)
    for index, column in enumerate(table.schema):
        if column.name in texts and not pa.types.is_string(column.type):
            table = table.set_column(index, column.name, _cast(table.column(index), pa.string(), column, path.name))
    return _frame(table, path.name)


def read_images(path: Path) -> dict[str, np.ndarray]:
    """An image set: arrays named ``<split>_images`` (rows, height, width[, channels]) and ``<split>_labels``.

    Raises:
        SourceError: broken file, arrays of Python objects, or images and labels that differ in number.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (ValueError, OSError, zipfile.BadZipFile):
        arrays = {}
    if not arrays:
        raise SourceError(f"'{path.name}' is no readable .npz file of plain arrays.")
    for name, images in arrays.items():
        labels = arrays.get(name.removesuffix("images") + "labels") if name.endswith("images") else None
        if labels is not None and len(labels) != len(images):
            raise SourceError(f"'{path.name}': {name} has {len(images)} images for {len(labels)} labels.")
    return arrays


def _check_shape(table: pa.Table, name: str) -> None:
    blank = sum(not column.strip() for column in table.column_names)
    if blank:
        raise SourceError(f"'{name}': {blank} column(s) have no name in the header.")
    twice = sorted(column for column, count in Counter(c.strip() for c in table.column_names).items() if count > 1)
    if twice:
        raise SourceError(f"'{name}': columns named twice: {', '.join(twice)}.")
    if table.num_rows == 0:
        raise SourceError(f"'{name}' has a header of {table.num_columns} column(s) but no rows.")


def _frame(table: pa.Table, name: str) -> pd.DataFrame:
    """Numbers, booleans and text as pandas has them; anything else as text."""
    for index, column in enumerate(table.schema):
        kind = column.type
        if pa.types.is_decimal(kind):
            table = table.set_column(index, column.name, _cast(table.column(index), pa.float64(), column, name))
        elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            table = table.set_column(index, column.name, _cast(table.column(index), pa.string(), column, name))
    frame = table.to_pandas(ignore_metadata=True)
    frame.columns = [str(column).strip() for column in frame.columns]
    return frame


def _cast(values: pa.ChunkedArray, kind: pa.DataType, column: pa.Field, name: str) -> pa.ChunkedArray:
    try:
        return values.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    if pa.types.is_binary(column.type):
        raise SourceError(f"'{name}': column '{column.name}' is not UTF-8 text.")
    raise SourceError(f"'{name}': column '{column.name}' of type {column.type} cannot be read as {kind}.")
