"""The component at real parties, against pandas' inner join."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.cluster
HOLDERS = ("hospital", "insurer")
COUNTS = ("rows", "missing", "duplicates", "people", "common_share")


def align(ctx, left, right, params):
    """Runs at every party: PSI of two tables given as {column: cells}; column ``id`` is the ID."""
    from secretflow.component.core import Output, VTableField, VTableSchema

    from veilflow.components.alignment.psi.component import Psi
    from veilflow.components.devices.pyu import run_on
    from veilflow.components.devices.schemas import column_types
    from veilflow.components.devices.tables import write_table
    from veilflow.components.errors import ComponentError
    from veilflow.pipelines.party.report_tabs import tabs_from_report

    inputs = {}
    for side, party, columns in zip(("left", "right"), HOLDERS, (left, right), strict=True):
        frame = pd.DataFrame({name: pd.Series(cells, dtype=_dtype(cells)) for name, cells in columns.items()})
        kinds = [_kind(name) for name in frame]
        types = column_types(frame).items()
        fields = [VTableField(name, kind, role) for (name, kind), role in zip(types, kinds, strict=True)]
        stored = Output(uri=f"test/{ctx.node}-{side}")
        write_table(ctx, stored, {party: run_on(party, lambda frame=frame: frame)}, {party: VTableSchema(fields)})
        inputs[side] = stored.data
    component = Psi(**{**DEFAULTS, **params}, **inputs, table=Output(uri="test/out"), report=Output(uri="test/report"))
    try:
        component.evaluate(ctx)
    except ComponentError as refused:
        return {"refused": str(refused), "left_behind": _left_behind(ctx)}
    tabs = {tab["name"]: tab for tab in tabs_from_report(component.report.data)}
    return {
        **_own_part(ctx, component.table.data),
        "tabs": json.loads(json.dumps(tabs)),
        "left_behind": _left_behind(ctx),
    }


DEFAULTS = {
    "protocol": "RR22",
    "receiver": "both",
    "normalise": ["strip", "width"],
    "duplicates": "error",
    "allow_empty": False,
    "left_id": [],
    "right_id": [],
}


def _kind(name):
    from secretflow.component.core import VTableFieldKind

    known = {"id": VTableFieldKind.ID, "label": VTableFieldKind.LABEL}
    return known.get(name.split("_")[0], VTableFieldKind.FEATURE)


def _dtype(cells):
    return object if not cells or any(isinstance(cell, str) for cell in cells) else None


def _own_part(ctx, stored):
    from pyarrow import orc
    from secretflow.component.core import VTable

    table = VTable.from_distdata(stored)
    found = {"type": stored.type, "rows": table.line_count, "parties": list(table.parties), "part": None}
    if ctx.self_party in table.parties:
        part = table.get_party(ctx.self_party)
        frame = orc.ORCFile(str(Path(ctx.data_dir) / part.uri)).read().to_pandas()
        found["part"] = {name: frame[name].tolist() for name in frame}
        found["ids"] = [name for name, kind in part.kinds.items() if str(kind) == "ID"]
    return found


def _left_behind(ctx):
    return [path.name for path in Path(ctx.data_dir).glob(".psi-*")]


def people(size, start, feature):
    return {"id": [f"p{number:06d}" for number in range(start, start + size)], feature: list(range(size))}


def require_join(result, left, right, how="first"):
    """Both parts, side by side, are pandas' inner join of the tables."""
    one, other = (result[party]["part"] for party in HOLDERS)
    joined = pd.DataFrame(
        {**{f"l_{name}": cells for name, cells in one.items()}, **{f"r_{k}": v for k, v in other.items()}}
    )
    tables = [pd.DataFrame(table).drop_duplicates("id", keep=how) for table in (left, right)]
    expected = tables[0].add_prefix("l_").merge(tables[1].add_prefix("r_"), left_on="l_id", right_on="r_id")
    columns = list(expected)
    pd.testing.assert_frame_equal(
        joined[columns].sort_values(columns).reset_index(drop=True),
        expected.sort_values(columns).reset_index(drop=True),
        check_dtype=False,
    )


def counted(found, name):
    """One column of the report's table, hospital first."""
    tab = found["tabs"]["parties"]
    return [row[[column["name"] for column in tab["columns"]].index(name)] for row in tab["rows"]]


@pytest.mark.parametrize("protocol", ["RR22", "KKRT", "ECDH"])
@pytest.mark.parametrize("receiver", ["both", "hospital", "insurer"])
def test_the_receivers_get_the_inner_join(veilflow_cluster, protocol, receiver):
    left, right = people(60, 0, "age"), people(45, 40, "claims")
    right = {name: cells[::-1] for name, cells in right.items()}
    result = veilflow_cluster.call(align, left, right, {"protocol": protocol, "receiver": receiver})
    assert {found["rows"] for found in result.values()} == {20}
    assert result["coordinator"]["part"] is None
    if receiver == "both":
        require_join(result, left, right)
        assert {found["type"] for found in result.values()} == {"sf.table.vertical"}
        return
    table = left if receiver == "hospital" else right
    common = set(left["id"]) & set(right["id"])
    assert set(result[receiver]["part"]["id"]) == common
    assert result[receiver]["parties"] == [receiver]
    assert {found["type"] for found in result.values()} == {"sf.table.individual"}
    # A single receiver keeps its own order.
    assert result[receiver]["part"]["id"] == [person for person in table["id"] if person in common]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (people(1, 0, "age"), people(1, 0, "claims")),
        (people(1, 700, "age"), people(1500, 0, "claims")),
        (people(1500, 0, "age"), people(2, 1499, "claims")),
        (people(300, 0, "age"), people(300, 0, "claims")),
    ],
    ids=["one and the same", "one in many", "many and one of two", "all, in the same order"],
)
def test_sizes_and_overlaps_at_the_edges(veilflow_cluster, left, right):
    result = veilflow_cluster.call(align, left, right, {})
    require_join(result, left, right)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=30),
    st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=30),
    st.sampled_from(["RR22", "KKRT", "ECDH"]),
)
def test_any_text_is_matched_exactly(veilflow_cluster, left, right, protocol):
    shared = left[: len(left) // 2] + right
    tables = ({"id": left, "age": list(range(len(left)))}, {"id": shared, "claims": list(range(len(shared)))})
    # str.strip alone: white space and empty cells are what normalisation is for
    params = {"protocol": protocol, "normalise": ["strip"], "duplicates": "first", "allow_empty": True}
    result = veilflow_cluster.call(align, *tables, params)
    stripped = [{**table, "id": [cell.strip() or None for cell in table["id"]]} for table in tables]
    kept = [pd.DataFrame(table, dtype=object).dropna().drop_duplicates("id") for table in stripped]
    expected = kept[0].merge(kept[1], on="id")
    found = [result[party]["part"] for party in HOLDERS]
    assert Counter(zip(found[0]["age"], found[1]["claims"], strict=True)) == Counter(
        zip(expected["age"], expected["claims"], strict=True)
    )


def test_ids_match_however_each_party_types_and_writes_them(veilflow_cluster):
    left = {"id": [1, 2, 3, 4], "age": [10, 20, 30, 40]}
    right = {"id": [" 2", "３", "4\u200b", "5", None], "claims": [200, 300, 400, 500, 600]}
    result = veilflow_cluster.call(align, left, right, {})
    pairs = zip(result["hospital"]["part"]["age"], result["insurer"]["part"]["claims"], strict=True)
    assert {(age * 10, claims) for age, claims in pairs} == {(200, 200), (300, 300), (400, 400)}
    assert counted(result["coordinator"], "missing") == [0, 1]
    floats = {"id": [2.0, 3.0], "age": [20, 30]}
    assert veilflow_cluster.call(align, floats, right, {})["hospital"]["rows"] == 2


def test_several_columns_tell_people_apart_in_the_order_given(veilflow_cluster):
    left = {"id_a": ["x", "x", "y"], "id_b": ["1", "2", "1"], "age": [1, 2, 3]}
    right = {"id_q": ["2", "1", "1"], "id_p": ["X", "Y", "Z"], "claims": [20, 30, 40]}
    params = {"normalise": ["1:case"], "left_id": ["id_a", "id_b"], "right_id": ["id_p", "id_q"]}
    result = veilflow_cluster.call(align, left, right, params)
    pairs = zip(result["hospital"]["part"]["age"], result["insurer"]["part"]["claims"], strict=True)
    assert set(pairs) == {(2, 20), (3, 30)}


@pytest.mark.parametrize(("rule", "kept"), [("first", {(1, 10), (3, 30)}), ("last", {(2, 20), (3, 30)})])
def test_duplicates_leave_one_row_per_person(veilflow_cluster, rule, kept):
    left = {"id": ["a", "a", "b", "c"], "age": [1, 2, 3, 4]}
    right = {"id": ["a", "a ", "b"], "claims": [10, 20, 30]}
    result = veilflow_cluster.call(align, left, right, {"duplicates": rule})
    pairs = zip(result["hospital"]["part"]["age"], result["insurer"]["part"]["claims"], strict=True)
    assert set(pairs) == kept
    assert counted(result["coordinator"], "duplicates") == [1, 1]


def test_the_other_partys_columns_do_not_matter_where_one_party_receives(veilflow_cluster):
    table = {"id": ["a", "b"], "x": [1, 2], "label": [0, 1]}
    result = veilflow_cluster.call(align, table, table, {"receiver": "insurer"})
    assert result["insurer"]["part"] == table


def test_a_chosen_column_becomes_the_id_of_the_output(veilflow_cluster):
    left = {"id": ["a", "b"], "card": ["7", "8"], "age": [1, 2]}
    right = {"id": ["8", "9"], "claims": [20, 30]}
    result = veilflow_cluster.call(align, left, right, {"left_id": ["card"]})
    assert result["hospital"]["part"]["age"] == [2]
    assert "card" in result["hospital"]["ids"]


def test_the_rows_common_order_says_nothing_about_ids_or_the_tables(veilflow_cluster):
    left, right = people(3000, 0, "age"), people(3000, 0, "claims")
    runs = [veilflow_cluster.call(align, left, right, {"receiver": "both"}) for _ in range(2)]
    orders = [run["hospital"]["part"]["age"] for run in runs]
    assert orders[0] == runs[0]["insurer"]["part"]["claims"]
    for one, other in ((orders[0], range(3000)), (orders[1], range(3000)), orders):
        # 5 standard deviations of a rank correlation of 3000 independent pairs
        assert abs(np.corrcoef(one, other)[0, 1]) < 5 / np.sqrt(3000)


def test_the_report_counts_and_nothing_is_left_behind(veilflow_cluster):
    left = {"id": ["a", "a", "b", None], "age": [1, 2, 3, 4]}
    right = people(4, 0, "claims")
    right["id"][0] = "b"
    result = veilflow_cluster.call(align, left, right, {"duplicates": "first"})
    for found in result.values():
        assert found["tabs"]["alignment"]["values"] == {
            "common_people": 1,
            "protocol": "RR22",
            "receivers": "hospital, insurer",
        }
        assert [counted(found, name) for name in COUNTS] == [[4, 4], [1, 0], [1, 0], [2, 4], [0.5, 0.25]]
        assert found["left_behind"] == []


def test_no_common_people_is_an_error_with_counts_unless_an_empty_table_is_allowed(veilflow_cluster):
    left, right = people(5, 0, "age"), people(7, 100, "claims")
    result = veilflow_cluster.call(align, left, right, {})
    for found in result.values():
        assert found["refused"].startswith("no common people among hospital 5 and insurer 7. Compare how")
        assert found["left_behind"] == []
    result = veilflow_cluster.call(align, left, right, {"allow_empty": True})
    assert {found["rows"] for found in result.values()} == {0}
    assert result["hospital"]["part"] == {"id": [], "age": []}
    for found in result.values():
        assert found["tabs"]["hint"]["values"]["hint"].startswith("only 0 of the 5 people of the smallest table")


def test_a_table_without_people_is_matched_with_nobody(veilflow_cluster):
    left, right = {"id": [None, " "], "age": [1, 2]}, people(3, 0, "claims")
    result = veilflow_cluster.call(align, left, right, {"allow_empty": True})
    assert {found["rows"] for found in result.values()} == {0}


@pytest.mark.parametrize(
    ("left", "right", "params", "message"),
    [
        ({"age": [1]}, {"id": ["a"], "claims": [1]}, {}, "hospital's table has no ID column: set left_id"),
        ({"id": ["a"], "x": [1]}, {"id": ["a"], "x": [1]}, {}, r"both tables have column(s) x, and later"),
        ({"id": ["a"], "label": [1]}, {"id": ["a"], "label_b": [1]}, {}, "hospital and insurer both hold a label"),
        ({"id": ["a"]}, {"id": ["a"]}, {"receiver": "coordinator"}, "receiver 'coordinator' holds neither table"),
        (
            {"id": ["a"]},
            {"id": ["a"]},
            {"left_id": ["idd"]},
            "hospital's table has no column 'idd' (did you mean 'id'?)",
        ),
        ({"id": ["a"], "id_b": ["b"]}, {"id": ["a"]}, {}, "hospital tells people apart by id, id_b, insurer by id"),
        ({"id": ["a"]}, {"id": ["a"]}, {"normalise": ["2:case"]}, "normalise names ID column 2"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_every_party_alike(veilflow_cluster, left, right, params, message):
    result = veilflow_cluster.call(align, left, right, params)
    assert all(message in found["refused"] for found in result.values()), result
