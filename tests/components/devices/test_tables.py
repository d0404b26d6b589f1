"""What is written comes back as it was, at real parties, and SecretFlow reads it, too."""

import io
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

pytestmark = pytest.mark.cluster
BIG = 110105194912310025  # 18 digits, beyond what a float can hold

COLUMNS = {
    "id": ("str", "id", ["a", None, 'c,"d"\n', "张"]),
    "card": ("int64", "id", [BIG, None, BIG + 1, 0]),
    "whole": ("int", "feature", [1, 2, -3, 4]),
    "gaps": ("int", "feature", [1, None, 3, 4]),
    "real": ("float", "feature", [0.5, None, -1e300, 2.0]),
    "narrow": ("float32", "feature", [0.5, None, 1.5, 2.0]),
    "tiny": ("uint8", "feature", [0, 255, 1, 2]),
    "wide": ("uint32", "feature", [0, 2**32 - 1, 1, 2]),
    "widest": ("uint64", "feature", [0, 2**63 - 1, 1, 2]),
    "flag": ("bool", "feature", [True, False, True, True]),
    "text": ("str", "feature", ["", "x", None, "NULL"]),
    "label": ("int", "label", [0, 1, 1, 0]),
}


def _schema():
    from secretflow.component.core import VTableField, VTableSchema

    from veilflow.components.devices.schemas import KINDS

    return VTableSchema([VTableField(name, kind, KINDS[role]) for name, (kind, role, _) in COLUMNS.items()])


def _frame():
    from secretflow.component.core import VTableUtils

    columns = {}
    for name, (kind, _, cells) in COLUMNS.items():
        whole = kind.lstrip("u").startswith("int")
        gaps = None in cells
        dtype = "Int64" if whole and gaps else VTableUtils.to_np_dtype(kind)
        columns[name] = pd.Series(cells, dtype=dtype)
    return pd.DataFrame(columns)


def _cells(frame):
    """JSON-able, with None for what is missing; numbers as Python's."""
    return {
        name: [None if pd.isna(cell) else cell.item() if isinstance(cell, np.generic) else cell for cell in frame[name]]
        for name in frame
    }


def round_trip(ctx):
    from secretflow.component.core import Output, VTable

    from veilflow.components.devices.pyu import run_on
    from veilflow.components.devices.tables import read_frame, write_table

    output = Output(uri=f"test/{ctx.node}")
    rows = write_table(ctx, output, {"hospital": run_on("hospital", _frame)}, {"hospital": _schema()})
    table = VTable.from_distdata(output.data)
    part = table.get_party("hospital")
    frame = read_frame(ctx, part)
    found = {"rows": rows, "line_count": table.line_count, "type": table.type}
    if ctx.self_party != "hospital":
        return found
    ours = frame.data.get_object()
    return {**found, "order": list(ours), "types": {n: str(t) for n, t in ours.dtypes.items()}, "cells": _cells(ours)}


def test_every_type_comes_back_exactly_and_in_schema_order(veilflow_cluster):
    found = veilflow_cluster.call(round_trip)
    assert {(each["rows"], each["line_count"], each["type"]) for each in found.values()} == {
        (4, 4, "sf.table.individual")
    }
    back = found["hospital"]
    assert back["cells"] == {name: cells for name, (_, _, cells) in COLUMNS.items()}
    # SecretFlow's protobuf keeps IDs, features and labels apart, in this order.
    assert back["order"] == list(COLUMNS)
    assert back["types"]["card"] == "Int64"
    assert back["types"]["gaps"] == "float64"
    assert back["types"]["tiny"] == "uint8"


def secretflow_reads(ctx):
    """SecretFlow's own loader on a table of two parties."""
    from secretflow.component.core import Output, VTableSchema
    from secretflow.device import PYU

    from veilflow.components.devices.pyu import publish, run_on
    from veilflow.components.devices.tables import write_table

    output = Output(uri=f"test/{ctx.node}")
    insurer = VTableSchema.from_dict(ids={"person": "str"}, features={"claims": "float"})
    frame = pd.DataFrame({"person": list("abcd"), "claims": [1.0, 2.0, None, 4.0]})
    frames = {"hospital": run_on("hospital", _frame), "insurer": run_on("insurer", lambda: frame)}
    write_table(ctx, output, frames, {"hospital": _schema(), "insurer": insurer})
    loaded = ctx.load_table(output.data)
    tables = {party: loaded.partitions[PYU(party)].data for party in ("hospital", "insurer")}
    return publish({party: run_on(party, lambda table: _cells(table.to_pandas()), t) for party, t in tables.items()})


def test_secretflow_reads_our_tables(veilflow_cluster):
    found = veilflow_cluster.call(secretflow_reads)["coordinator"]
    assert found["hospital"]["card"][:3:2] == [float(BIG), float(BIG + 1)]  # pandas widens; the table is exact
    for name in ("id", "whole", "tiny", "widest", "text", "label"):
        assert found["hospital"][name] == COLUMNS[name][2]
    assert found["insurer"] == {"person": list("abcd"), "claims": [1.0, 2.0, None, 4.0]}


def _part(file, fmt, **kinds):
    from secretflow.component.core import VTableParty

    return VTableParty.from_dict(party="hospital", uri=file, format=fmt, null_strs=["NA"], **kinds)


def reads_csv(ctx, text, ids, features):
    """A CSV file as Kuscia would register it; errors come back as their text."""
    from veilflow.components.devices.tables import frame_of
    from veilflow.components.errors import ComponentError

    try:
        frame = frame_of(text.encode(), _part("x.csv", "csv", ids=ids, features=features))
    except ComponentError as refused:
        return {"refused": str(refused)}
    return {"cells": _cells(frame), "types": {name: str(dtype) for name, dtype in frame.dtypes.items()}}


def test_csv_files_are_read_with_their_schema(veilflow_cluster):
    text = 'extra,age,id,name\n1,7,0012,"a, b"\n2,NA,0013,\n'
    found = veilflow_cluster.call(reads_csv, text, {"id": "str"}, {"age": "int", "name": "str"})["hospital"]
    assert found["cells"] == {"id": ["0012", "0013"], "age": [7.0, None], "name": ["a, b", None]}
    assert found["types"]["age"] == "float64"


def test_long_whole_ids_with_gaps_keep_their_digits(veilflow_cluster):
    found = veilflow_cluster.call(reads_csv, f"id,x\n{BIG},1\nNA,2\n", {"id": "int"}, {"x": "int"})["hospital"]
    assert found["cells"]["id"] == [BIG, None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,y\na,1\n", "hospital's file for this table lacks columns of its schema, which are x, id."),
        ("id,x\na,secret\n", "has cells in column 2 of the file that are not of the type its schema says."),
    ],
)
def test_csv_files_that_do_not_fit_are_refused_without_a_cell(veilflow_cluster, text, message):
    found = veilflow_cluster.call(reads_csv, text, {"id": "str"}, {"x": "int"})["hospital"]
    assert message in found["refused"]
    assert "secret" not in found["refused"]


def stores(ctx, cells, kind):
    from secretflow.component.core import VTableSchema

    from veilflow.components.devices.tables import bytes_of
    from veilflow.components.errors import ComponentError

    frame = pd.DataFrame({"x": pd.Series(cells, dtype="uint64" if max(map(_size, cells)) > 2**62 else None)})
    try:
        bytes_of(frame, VTableSchema.from_dict(features={"x": kind}))
    except ComponentError as refused:
        return str(refused)
    return "stored"


def _size(cell):
    return abs(cell) if isinstance(cell, (int, float)) and math.isfinite(cell) else 0


@pytest.mark.parametrize(
    ("cells", "kind", "message"),
    [
        ([1.5, 2.0], "int", "column 'x' of the table is double and has cells that do not fit int64."),
        ([0, 2**64 - 1], "uint64", "column 'x' of the table is uint64 and has cells that do not fit int64."),
        (["secret", 1], "str", "column 'x' mixes types; it should be string throughout."),
        (["secret", "1"], "int", "column 'x' of the table is string and has cells that do not fit int64."),
        ([1.0], "float16", "column(s) x are float16, which table files cannot hold; use float32."),
        ([1.0, None], "int", "stored"),
        ([], "str", "stored"),
    ],
)
def test_cells_that_do_not_fit_are_refused_without_a_cell(veilflow_cluster, cells, kind, message):
    assert veilflow_cluster.call(stores, cells or [None], kind)["hospital"] == message


def ragged(ctx):
    from secretflow.component.core import Output, VTableSchema

    from veilflow.components.devices.pyu import run_on
    from veilflow.components.devices.tables import write_table
    from veilflow.components.errors import ComponentError

    frames = {
        party: run_on(party, lambda rows=rows, party=party: pd.DataFrame({party: range(rows)}))
        for party, rows in (("hospital", 3), ("insurer", 4))
    }
    schemas = {party: VTableSchema.from_dict(features={party: "int"}) for party in frames}
    output = Output(uri="test/ragged")
    try:
        write_table(ctx, output, frames, schemas)
    except ComponentError as refused:
        return {"refused": str(refused), "described": output.data is not None}
    return {}


def test_parts_of_different_length_do_not_become_a_table(veilflow_cluster):
    for found in veilflow_cluster.call(ragged).values():
        assert found == {
            "refused": "the parties' parts of one table differ in rows: hospital 3, insurer 4.",
            "described": False,
        }


def reads_what_is_not_there(ctx):
    from veilflow.components.devices.pyu import publish
    from veilflow.components.devices.tables import read_frame

    publish(read_frame(ctx, _part("gone.csv", "csv", ids={"id": "str"})))


def test_a_missing_file_is_named(veilflow_cluster):
    from veilflow.pipelines.launch.processes import PartyFailed

    with pytest.raises(PartyFailed, match=r"hospital's storage has no file 'gone\.csv' for this table") as caught:
        veilflow_cluster.call(reads_what_is_not_there)
    assert caught.value.party == "hospital"
    assert not Path("gone.csv").exists()


def chosen_rows(ctx):
    """Rows fetched and stored as arrow, and as pandas does it: the cells of both files."""
    from pyarrow import orc
    from secretflow.component.core import VTableSchema

    from veilflow.components.devices import tables

    frame, schema = _frame(), _schema()
    frame["real"] = [0.5, float("nan"), -1e300, 2.0]
    stored = tables.bytes_of(frame, schema)
    part = _part_of(schema)
    positions, tables._ROWS = np.array([3, 0, 2, 1, 1]), 2
    table = tables.rows_of(tables.arrow_of(stored, part), positions)
    files = tables.bytes_of(table, schema), tables.bytes_of(frame.iloc[positions].reset_index(drop=True), schema)
    none = tables.bytes_of(tables.rows_of(tables.arrow_of(stored, part), positions[:0]), schema)
    one, other, empty = (orc.ORCFile(io.BytesIO(raw)).read() for raw in (*files, none))
    lone = VTableSchema.from_dict(features={"real": "float"})
    nan = tables.bytes_of(pa.table({"real": [float("nan"), 1.0]}), lone)
    return {
        "same": one.equals(other),
        "rows": one.num_rows,
        "none": empty.schema.equals(one.schema) and len(empty),
        "missing": orc.ORCFile(io.BytesIO(nan)).read()["real"].null_count,
    }


def _part_of(schema):
    from secretflow.component.core import VTableFormat, VTableParty

    return VTableParty(party="hospital", uri="x", format=str(VTableFormat.ORC), schema=schema)


def test_rows_fetched_as_arrow_are_stored_as_pandas_stores_them(veilflow_cluster):
    assert veilflow_cluster.call(chosen_rows)["hospital"] == {"same": True, "rows": 5, "none": 0, "missing": 1}
