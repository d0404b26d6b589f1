"""Reader of CSV files."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv

from veilflow.datasets.errors import SourceError
from veilflow.datasets.file_format import NOT_UTF8, require_format
from veilflow.datasets.frames import columns_of, to_frame
from veilflow.datasets.header import first_line, kept_columns, require_header, require_names
from veilflow.datasets.quotes import look_at_quotes
from veilflow.datasets.wanted import Wanted


def read_csv(path: Path, wanted: Wanted) -> pd.DataFrame:
    """A comma-separated UTF-8 file with a header line.

    Columns that are not read as text become whole numbers, floats, booleans or text by their content; one without any
    cell is a column of missing numbers.

    Raises:
        SourceError: of another format or encoding, no header line, no rows, lines of unequal length, stray quotes.
            Says how many; all columns at once.
    """
    if path.stat().st_size == 0:
        raise SourceError(f"'{path.name}' is empty: it needs a header line and rows.")
    require_format(path, "csv")
    called = f"'{path.name}'"
    raw = require_names(first_line(path), wanted, called)
    quoting = look_at_quotes(path, len(raw))
    kept = kept_columns(raw, wanted, called)
    table = _parse(path, kept, wanted, quoting.lines_in_cells > 0)
    if table.num_rows == 0:
        raise SourceError(f"{called} has a header of {len(raw)} column(s) but no rows.")
    table = _as_utf8(table.rename_columns(list(kept)), wanted, called)
    require_header(columns_of(table), wanted, called)
    return to_frame(table, wanted, called)


def _parse(path: Path, kept: Mapping[str, str], wanted: Wanted, lines_in_cells: bool) -> pa.Table:
    convert = pa_csv.ConvertOptions(
        # Text is read as bytes: what is not UTF-8 is then told of all columns at once.
        column_types={as_stored: pa.binary() for name, as_stored in kept.items() if name in wanted.text},
        include_columns=list(kept.values()),
        strings_can_be_null=True,
        timestamp_parsers=[],
    )
    parse = pa_csv.ParseOptions(newlines_in_values=lines_in_cells)
    try:
        return pa_csv.read_csv(path, parse_options=parse, convert_options=convert)
    except (pa.ArrowInvalid, pa.ArrowKeyError) as problem:
        said = str(problem)
    # Arrow's own text quotes the broken line, so it is not passed on, not even as the cause.
    if "Expected" in said and "columns" in said:
        raise _unequal_lines(path, lines_in_cells)
    reason = f"it is not UTF-8 text: {NOT_UTF8}" if "UTF8" in said else "its lines are broken"
    raise SourceError(f"'{path.name}' cannot be read as CSV: {reason}.")


def _unequal_lines(path: Path, lines_in_cells: bool) -> SourceError:
    """How many lines have another number of cells than the header: read once more, in order."""
    if not _is_utf8(path):  # Arrow cannot hand such lines over
        return SourceError(
            f"'{path.name}' has lines with another number of cells than its header, and is not UTF-8 text: {NOT_UTF8}."
        )
    bad: list[tuple[int | None, int, int]] = []

    def note(row: pa_csv.InvalidRow) -> str:
        bad.append((row.number, row.expected_columns, row.actual_columns))
        return "skip"

    parse = pa_csv.ParseOptions(newlines_in_values=lines_in_cells, invalid_row_handler=note)
    pa_csv.read_csv(path, pa_csv.ReadOptions(use_threads=False), parse)  # threads do not number lines
    if not bad:
        return SourceError(f"'{path.name}' has lines with another number of cells than its header; correct them.")
    line, expected, actual = bad[0]
    return SourceError(
        f"'{path.name}': {len(bad)} line(s) do not have {expected} columns, the first is line {line} with {actual}. "
        "Quote cells that hold a comma, and remove broken lines."
    )


def _is_utf8(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            return all(True for _ in file)
    except UnicodeDecodeError:
        return False


def _as_utf8(table: pa.Table, wanted: Wanted, called: str) -> pa.Table:
    """Bytes as text; Arrow leaves columns of no declared type as bytes where they are no UTF-8."""
    broken = []
    for index, field in enumerate(table.schema):
        if pa.types.is_binary(field.type):
            try:
                text = table.column(index).cast(pa.string())
            except pa.ArrowInvalid:
                broken.append(field.name)
                continue
            table = table.set_column(index, field.name, text)
    if broken:
        public, own = wanted.told(broken)
        raise SourceError(
            f"{called}: {public} of {table.num_columns} hold(s) cells that are not UTF-8 text: {NOT_UTF8}. A column "
            "that is not needed can be left out with drop.",
            f"not UTF-8: {own}",
        )
    return table
