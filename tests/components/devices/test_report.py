"""Reports hold what components put in, whatever numeric types it came in."""

import numpy as np
import pytest

pytestmark = pytest.mark.cluster


def reports(ctx):
    from secretflow.component.core import Output

    from veilflow.components.devices.report import ReportBuilder
    from veilflow.pipelines.party.report_tabs import tabs_from_report

    output = Output(uri="unused")
    report = ReportBuilder("made", "for a test")
    report.values("metrics", {"auc": np.float64(0.75), "rows": np.int64(2**40), "ok": np.bool_(True), "who": "x"})
    report.table("curve", {"epoch": np.arange(2), "loss": [1, 0.5], "note": ["a", ""]}, "told")
    report.table("nothing", {"epoch": [], "loss": []})
    report.write(output)
    return tabs_from_report(output.data)


def test_tabs_keep_names_values_and_types(veilflow_cluster):
    metrics, curve = veilflow_cluster.call(reports)["coordinator"]
    assert metrics["values"] == {"auc": 0.75, "rows": 2**40, "ok": True, "who": "x"}
    assert curve["name"] == "curve"
    assert [column["name"] for column in curve["columns"]] == ["epoch", "loss", "note"]
    assert curve["rows"] == [[0, 1.0, "a"], [1, 0.5, ""]]


def uneven(ctx):
    from veilflow.components.devices.report import ReportBuilder

    try:
        ReportBuilder("made").table("curve", {"epoch": [1, 2], "loss": [1.0]})
    except ValueError as refused:
        return str(refused)
    return "taken"


def test_columns_of_different_length_are_no_table(veilflow_cluster):
    expected = "table 'curve': columns of different lengths, {'epoch': 2, 'loss': 1}."
    assert veilflow_cluster.call(uneven)["hospital"] == expected
