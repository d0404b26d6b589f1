"""Tables at rest: one ORC (or CSV) file per party, described by a public SecretFlow `VTable`."""

import io
from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.orc as pa_orc
from secretflow.component.core import Context, Output, VTable, VTableFormat, VTableParty, VTableSchema
from secretflow.component.core.dist_data.vtable_utils import VTableUtils
from secretflow.device import PYUObject

from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.errors import ComponentError


def read_frame(ctx: Context, part: VTableParty) -> PYUObject:
    """One party's part of a table as a pandas frame at that party, columns in schema order."""
    storage, uri, fmt, names = ctx.storage, part.uri, part.format, part.columns
    nulls = list(part.null_strs or [])
    schema = VTableUtils.to_arrow_schema(part.schema)

    def load() -> pd.DataFrame:
        with storage.get_reader(uri) as reader:
            raw = reader.read()
        if fmt == str(VTableFormat.CSV):
            types = {field.name: field.type for field in schema}
            options = pa_csv.ConvertOptions(column_types=types, null_values=["", *nulls], include_columns=names)
            table = pa_csv.read_csv(io.BytesIO(raw), convert_options=options)
        else:
            table = pa_orc.ORCFile(io.BytesIO(raw)).read(columns=names)
        return table.select(names).to_pandas()

    return run_on(part.party, load)


def write_table(
    ctx: Context,
    output: Output,
    frames: Mapping[str, PYUObject],
    schemas: Mapping[str, VTableSchema],
) -> int:
    """Store one frame per party under ``output`` and describe them; returns the row count, which becomes public.

    Raises:
        ComponentError: the parties' row counts differ.
    """
    storage, uri = ctx.storage, output.uri

    def store(frame: pd.DataFrame, schema: VTableSchema) -> int:
        table = pa.Table.from_pandas(frame[schema.names], preserve_index=False)
        table = table.cast(VTableUtils.to_arrow_schema(schema))
        sink = pa.BufferOutputStream()
        pa_orc.write_table(table, sink)
        with storage.get_writer(uri) as writer:
            writer.write(sink.getvalue().to_pybytes())
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
