"""Tables at rest: one ORC (or CSV) file per party, described by a public SecretFlow `VTable`."""

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.orc as pa_orc
from secretflow.component.core import (
    Context,
    Output,
    VTable,
    VTableFieldKind,
    VTableFormat,
    VTableParty,
    VTableSchema,
)
from secretflow.component.core.dist_data.vtable_utils import VTableUtils
from secretflow.device import PYUObject

from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.errors import ComponentError

_STORED_AS = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.int64(),
}
"""ORC has no unsigned types; readers cast back, SecretFlow's as well as ours."""
_ROWS = 1 << 20
"""Rows of one column fetched at a time."""


def read_frame(ctx: Context, part: VTableParty) -> PYUObject:
    """One party's part of a table as a pandas frame at that party, columns in schema order.

    Whole numbers with missing cells become float64, as is usual in pandas; ID columns keep their exact digits and
    become ``Int64`` instead.

    Raises:
        ComponentError: at the party, where its file is not there, lacks columns, or holds other types than it should.
    """
    return _read(ctx, part, frame_of)


def read_arrow(ctx: Context, part: VTableParty) -> PYUObject:
    """The same as an arrow table: no Python object per cell of text, missing cells stay missing."""
    return _read(ctx, part, arrow_of)


def _read(ctx: Context, part: VTableParty, parse: Callable[[bytes, VTableParty], Any]) -> PYUObject:
    storage = ctx.storage

    def load() -> Any:
        try:
            with storage.get_reader(part.uri) as reader:
                raw = reader.read()
        except FileNotFoundError:
            raise ComponentError(f"{part.party}'s storage has no file '{part.uri}' for this table.") from None
        return parse(raw, part)

    return run_on(part.party, load)


def write_table(
    ctx: Context,
    output: Output,
    frames: Mapping[str, PYUObject],
    schemas: Mapping[str, VTableSchema],
) -> int:
    """Store one frame (pandas or arrow) per party under ``output`` and describe them; returns the row count, which
    becomes public.

    Raises:
        ComponentError: the parties' row counts differ; at a party, where cells do not fit the schema's types.
    """
    storage, uri = ctx.storage, output.uri

    def store(frame: pd.DataFrame | pa.Table, schema: VTableSchema) -> int:
        raw = bytes_of(frame, schema)
        with storage.get_writer(uri) as writer:
            writer.write(raw)
        return len(frame)

    counts = publish({party: run_on(party, store, frame, schemas[party]) for party, frame in frames.items()})
    if len(set(counts.values())) != 1:
        seen = ", ".join(f"{party} {count}" for party, count in counts.items())
        raise ComponentError(f"the parties' parts of one table differ in rows: {seen}.")
    rows = int(next(iter(counts.values())))
    parts = {
        party: VTableParty(party=party, uri=uri, format=str(VTableFormat.ORC), schema=schemas[party])
        for party in frames
    }
    output.data = VTable(name=uri, parties=parts, line_count=rows).to_distdata()
    return rows


def csv_table(party: str, uri: str, ids: Mapping[str, str], features: Mapping[str, str]) -> Any:
    """A CSV file in ``party``'s storage, described as an individual table: column names with their types."""
    schema = VTableSchema.from_dict(dict(features), ids=dict(ids))
    part = VTableParty(party=party, uri=uri, format=str(VTableFormat.CSV), schema=schema)
    return VTable(name=uri, parties={party: part}).to_distdata()


def row_count(table: Any) -> int:
    """Rows of a stored table, as its description has them."""
    return int(VTable.from_distdata(table).line_count)


def frame_of(raw: bytes, part: VTableParty) -> pd.DataFrame:
    """A party's file as a frame; see `read_frame`."""
    table = arrow_of(raw, part)
    frame = table.to_pandas()
    for name, kind in part.kinds.items():
        if kind == VTableFieldKind.ID and pa.types.is_integer(table[name].type) and table[name].null_count:
            frame[name] = _exact(table[name])
    return frame


def arrow_of(raw: bytes, part: VTableParty) -> pa.Table:
    """A party's file as an arrow table with the columns and types of its schema."""
    schema = _arrow_schema(part.schema)
    table = _from_csv(raw, part, schema) if part.format == str(VTableFormat.CSV) else _from_orc(raw, part)
    return pa.table({name: _fit(table[name], schema.field(name), part.party) for name in part.columns})


def rows_of(table: pa.Table, positions: np.ndarray) -> pa.Table:
    """The rows of ``table`` at ``positions`` (integers, any order), one column and a piece of it at a time."""
    pieces = [pa.array(positions[at : at + _ROWS]) for at in range(0, len(positions), _ROWS)]
    columns = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_string(column.type):
            column = column.cast(pa.large_string())  # offsets of 64 bits: whole columns may have more than 2 GB
        whole = column.combine_chunks()
        columns[name] = pa.chunked_array([whole.take(piece) for piece in pieces], type=column.type)
    return pa.table(columns)


def bytes_of(frame: pd.DataFrame | pa.Table, schema: VTableSchema) -> bytes:
    """``frame``'s columns as an ORC file, in the order and with the types of ``schema``; NaN becomes a missing cell."""
    columns = {}
    for field in _arrow_schema(schema):
        found = _column(frame, field)
        wanted = pa.field(field.name, _STORED_AS.get(field.type, field.type))
        columns[field.name] = _fit(found, wanted, "the table")
    sink = pa.BufferOutputStream()
    pa_orc.write_table(pa.table(columns), sink)
    stored: bytes = sink.getvalue().to_pybytes()
    return stored


def _column(frame: pd.DataFrame | pa.Table, field: pa.Field) -> pa.ChunkedArray:
    if isinstance(frame, pa.Table):
        column = frame[field.name]
        if not pa.types.is_floating(column.type):
            return column
        return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    try:
        return pa.chunked_array(pa.Array.from_pandas(frame[field.name]))
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        raise ComponentError(f"column '{field.name}' mixes types; it should be {field.type} throughout.") from None


def _arrow_schema(schema: VTableSchema) -> pa.Schema:
    found = VTableUtils.to_arrow_schema(schema)
    half = [field.name for field in found if field.type == pa.float16()]
    if half:
        raise ComponentError(f"column(s) {', '.join(half)} are float16, which table files cannot hold; use float32.")
    return found


def _from_csv(raw: bytes, part: VTableParty, schema: pa.Schema) -> pa.Table:
    options = pa_csv.ConvertOptions(
        column_types={field.name: field.type for field in schema},
        null_values=["", *(part.null_strs or [])],
        strings_can_be_null=True,
        include_columns=part.columns,
    )
    try:
        return pa_csv.read_csv(io.BytesIO(raw), convert_options=options)
    except KeyError:
        raise _lacking(part) from None
    except pa.ArrowInvalid as error:
        # pyarrow quotes the cell; where it stands is all that may be said.
        where = next((word.strip(":#") for word in str(error).split() if word.startswith("#")), "")
        column = f" in column {int(where) + 1} of the file" if where.isdigit() else ""
        raise ComponentError(
            f"{part.party}'s CSV file for this table has cells{column} that are not of the type its schema says."
        ) from None


def _from_orc(raw: bytes, part: VTableParty) -> pa.Table:
    file = pa_orc.ORCFile(io.BytesIO(raw))
    if not set(part.columns) <= set(file.schema.names):
        raise _lacking(part)
    return file.read(columns=part.columns)


def _lacking(part: VTableParty) -> ComponentError:
    columns = ", ".join(part.columns)
    return ComponentError(f"{part.party}'s file for this table lacks columns of its schema, which are {columns}.")


def _fit(column: pa.ChunkedArray, field: pa.Field, whose: str) -> pa.ChunkedArray:
    """``column`` as ``field``'s type, without losing anything."""
    if column.type == field.type:
        return column
    try:
        return column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        # The library's own message quotes a cell.
        raise ComponentError(
            f"column '{field.name}' of {whose} is {column.type} and has cells that do not fit {field.type}."
        ) from None


def _exact(column: pa.ChunkedArray) -> pd.Series:
    """Whole numbers with missing cells, to the last digit."""
    values = column.cast(pa.int64()).combine_chunks()
    missing = values.is_null().to_numpy(zero_copy_only=False)
    return pd.Series(pd.arrays.IntegerArray(values.fill_null(0).to_numpy().astype(np.int64), missing))
