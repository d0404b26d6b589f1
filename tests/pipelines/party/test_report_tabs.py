import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from secretflow_spec import Output, Reporter
from secretflow_spec.v1.component_pb2 import Attribute
from secretflow_spec.v1.data_pb2 import DistData
from secretflow_spec.v1.report_pb2 import Descriptions, Div, Report, Tab, Table

from veilflow.components.devices.report import ReportBuilder
from veilflow.pipelines import ledger
from veilflow.pipelines.party.report_tabs import tabs_from_report


def packed(report: Report) -> DistData:
    data = DistData(type="sf.report")
    data.meta.Pack(report)
    return data


def ours(*tabs: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    builder, output = ReportBuilder("step"), Output("uri")
    for name, content in tabs:
        is_table = all(isinstance(value, list) for value in content.values())
        (builder.table if is_table else builder.values)(name, content, f"about {name}")
    builder.write(output)
    return tabs_from_report(output.data)


def test_our_reports_come_back_with_names_types_and_zeros() -> None:
    values = {"auc": 0.1, "rows": 3, "zero": 0, "none": 0.0, "empty": "", "no": False, "text": "RR22"}
    table = {"epoch": [0, 1], "loss": [0.7, 0.0], "better": [False, True]}
    metrics, history = ours(("metrics", values), ("history", table))
    assert metrics == {
        "name": "metrics", "desc": "about metrics", "kind": "values", "values": values, "columns": [], "rows": []
    }  # fmt: skip
    assert [column["name"] for column in history["columns"]] == ["epoch", "loss", "better"]
    assert [column["type"] for column in history["columns"]] == ["int", "float", "bool"]
    assert history["rows"] == [[0, 0.7, False], [1, 0.0, True]]
    assert [type(value) for value in metrics["values"].values()] == [type(value) for value in values.values()]


@given(st.integers(-999_999, 999_999), st.integers(-12, 12))
def test_a_number_of_six_digits_is_read_as_it_was_written(digits: int, exponent: int) -> None:
    number = float(f"{digits}e{exponent}")
    (tab,) = ours(("metrics", {"x": number}))
    assert tab["values"]["x"] == number


def test_undefined_figures_are_null_and_the_tabs_are_json() -> None:
    (tab,) = ours(("metrics", {"precision": float("nan")}))
    assert json.loads(json.dumps(tab, allow_nan=False))["values"] == {"precision": None}
    ledger.Tab.model_validate(tab)


def test_one_content_takes_the_name_of_its_tab_whatever_the_division_is_called() -> None:
    reporter = Reporter("report")
    reporter.add_tab(Reporter.build_div({"r2": 0.5}, name="inner"), name="metrics", desc="regression")
    (tab,) = tabs_from_report(reporter.to_distdata())
    assert (tab["name"], tab["desc"], tab["values"]) == ("metrics", "regression", {"r2": 0.5})


def test_divisions_in_divisions_become_tabs_with_a_path() -> None:
    def group(name: str, value: int) -> Div.Child:
        item = Descriptions.Item(name="x", type="int", value=Attribute(i64=value))
        return Div.Child(type="descriptions", descriptions=Descriptions(name=name, items=[item]))

    deep = Div(name="hospital", children=[group("age", 1), Div.Child(div=Div(name="more", children=[group("bmi", 2)]))])
    tabs = tabs_from_report(packed(Report(tabs=[Tab(name="rules", divs=[deep, Div(children=[group("sex", 3)])])])))
    assert [(tab["name"], tab["values"]["x"]) for tab in tabs] == [
        ("rules / hospital / age", 1),
        ("rules / hospital / more / bmi", 2),
        ("rules / sex", 3),
    ]


def test_row_names_of_secretflow_tables_become_a_column() -> None:
    frame = pd.DataFrame({"mean": [1.5, 2.5]}, index=["age", "bmi"])
    reporter = Reporter("stats")
    reporter.add_tab(Reporter.build_table(frame.astype(str), index=frame.index.tolist()))
    (tab,) = tabs_from_report(reporter.to_distdata())
    assert tab["name"] == "stats"
    assert [column["name"] for column in tab["columns"]] == ["row", "mean"]
    assert tab["rows"] == [["age", "1.5"], ["bmi", "2.5"]]


def test_the_field_that_is_set_wins_over_a_declared_type_taken_from_the_first_row() -> None:
    table = Table(
        headers=[Table.HeaderItem(name="v", type="int")],
        rows=[
            Table.Row(name="0", items=[Attribute()]),
            Table.Row(name="1", items=[Attribute(f=0.5)]),
            Table.Row(name="2", items=[Attribute(is_na=True)]),
            Table.Row(name="3", items=[Attribute(ss=["a", "b"])]),
            Table.Row(name="4", items=[Attribute(fs=[0.1, 2.0])]),
        ],
    )
    report = Report(tabs=[Tab(name="t", divs=[Div(children=[Div.Child(type="table", table=table)])])])
    (tab,) = tabs_from_report(packed(report))
    assert tab["rows"] == [[0], [0.5], [None], ["a, b"], ["0.1, 2.0"]]


def test_values_of_the_same_name_are_all_kept() -> None:
    items = [Descriptions.Item(name="x", type="int", value=Attribute(i64=each)) for each in (1, 2, 3)]
    child = Div.Child(descriptions=Descriptions(items=items))
    (tab,) = tabs_from_report(packed(Report(tabs=[Tab(name="t", divs=[Div(children=[child])])])))
    assert tab["values"] == {"x": 1, "x (2)": 2, "x (3)": 3}


def test_a_report_without_content_has_no_tabs() -> None:
    assert tabs_from_report(DistData(type="sf.report")) == []
    assert tabs_from_report(Reporter("empty").to_distdata()) == []


def test_only_reports_are_read() -> None:
    with pytest.raises(ValueError, match=r"expected a DistData of type sf\.report, got 'sf\.table\.individual'"):
        tabs_from_report(DistData(type="sf.table.individual"))
