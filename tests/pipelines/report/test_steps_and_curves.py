import math
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from veilflow.pipelines.ledger import Run, Tab
from veilflow.pipelines.report.axes import ticks
from veilflow.pipelines.report.curves import calibration_figure, history_figures, roc_figure
from veilflow.pipelines.report.graph import graph
from veilflow.pipelines.report.receipts import receipt_rows
from veilflow.pipelines.report.steps import MAX_COLUMNS, MAX_ROWS, confusion_matrix, printed, step_reports
from veilflow.pipelines.report.traffic import traffic


def table(name: str, **columns: list[Any]) -> Tab:
    return Tab.model_validate(
        {
            "name": name,
            "kind": "table",
            "columns": [{"name": key, "type": type(cells[0]).__name__} for key, cells in columns.items()],
            "rows": [list(row) for row in zip(*columns.values(), strict=True)],
        }
    )


def points(drawing: str, css: str) -> list[tuple[float, float]]:
    """The vertices of the line with this class."""
    for path in ElementTree.fromstring(drawing).iter("path"):
        if path.get("class") == css:
            pairs = path.get("d", "").replace("M", " ").replace("L", " | ").split("|")
            return [tuple(float(each) for each in pair.split()) for pair in pairs]  # type: ignore[misc]
    raise AssertionError(f"no line {css}")


@example(5e-324, 0.0, 2, False)
@example(0.0, 3.6e-292, 2, True)
@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.integers(2, 8), st.booleans())
def test_ticks_are_few_round_and_cover_the_data(low: float, width: float, about: int, whole: bool) -> None:
    high = low + width
    found = ticks(low, high, about, whole)
    step = found[1] - found[0]
    assert found[0] <= low + 1e-6 * step
    assert found[-1] >= high - 1e-6 * step
    assert 2 <= len(found) <= about + 3
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert any(mantissa == pytest.approx(nice, rel=1e-3) for nice in (1, 2, 5, 10))
    if whole:
        assert all(tick == pytest.approx(round(tick), abs=1e-6 * max(1, abs(tick))) for tick in found)


def test_the_roc_curve_runs_from_corner_to_corner() -> None:
    figure = roc_figure(table("roc", false_positive_rate=[0.0, 0.5, 1.0], true_positive_rate=[0.0, 1.0, 1.0]), 0.75)
    assert figure is not None
    assert points(figure.drawing, "line series-0")[::2] == points(figure.drawing, "line guess")
    assert "0.750" in ElementTree.fromstring(figure.drawing).get("aria-label", "")


def test_columns_of_one_quantity_share_a_chart() -> None:
    figures = history_figures(
        table("history", epoch=[1, 2], train_loss=[2.0, 1.0], validation_loss=[3.0, 2.0], validation_auc=[0.5, 0.9])
    )
    assert [figure.title for figure in figures] == ["Loss by epoch", "Validation AUC by epoch"]
    assert [name for _, name in figures[0].keys] == ["train loss", "validation loss"]
    assert figures[1].keys == []
    train, validation = (points(figures[0].drawing, f"line series-{index}") for index in (0, 1))
    assert train[0][1] > validation[0][1], "the larger loss is drawn higher"
    assert train[1] > validation[0]


def test_a_missing_value_leaves_a_gap() -> None:
    (figure,) = history_figures(table("history", epoch=[1, 2, 3, 4], loss=[1.0, None, 0.5, 0.4]))
    path = next(p for p in ElementTree.fromstring(figure.drawing).iter("path") if p.get("class") == "line series-0")
    assert path.get("d", "").count("M") == 2


@pytest.mark.parametrize(
    "tab",
    [
        table("history", epoch=[1], loss=[0.5]),
        table("history", epoch=["a", "b"], loss=[0.5, 0.4]),
        table("history", epoch=[1, 2]),
        table("history", epoch=[1, 2], note=["x", "y"]),
    ],
)
def test_a_history_that_cannot_be_drawn_is_printed(tab: Tab) -> None:
    assert history_figures(tab) == []
    node = {"name": "n", "component": "c", "status": "ran", "report": [tab.model_dump()]}
    assert [sheet.title for sheet in step_reports(_run(node))[0].sheets] == ["history"]


def test_curves_without_their_columns_are_not_drawn() -> None:
    other = table("roc", x=[0.0, 1.0], y=[0.0, 1.0])
    assert roc_figure(other) is None
    assert calibration_figure(other) is None
    assert confusion_matrix(Tab(name="confusion", kind="values", values={"true_positive": 3})) is None


def test_a_wide_table_is_printed_in_parts_that_repeat_the_first_column() -> None:
    wide = table("stats", row=["a", "b"], **{f"s{index}": [1.0, 2.0] for index in range(17)})
    sheets = printed(wide)
    assert [sheet.title for sheet in sheets] == ["stats (1 of 3)", "stats (2 of 3)", "stats (3 of 3)"]
    assert all(len(sheet.head) <= MAX_COLUMNS and sheet.head[0] == "row" for sheet in sheets)
    assert [name for sheet in sheets for name in sheet.head[1:]] == [f"s{index}" for index in range(17)]


def test_a_long_table_says_how_many_rows_are_left_out() -> None:
    (sheet,) = printed(table("stats", row=list(range(MAX_ROWS + 7))))
    assert (len(sheet.rows), sheet.more) == (MAX_ROWS, 7)


def test_shares_of_the_confusion_matrix_are_by_true_class(good: Run) -> None:
    matrix = step_reports(good)[-1].matrix
    assert matrix is not None
    assert matrix.shares == {
        "true_positive": 1.0,
        "false_negative": 0.0,
        "false_positive": pytest.approx(9 / 97),
        "true_negative": pytest.approx(88 / 97),
    }


def test_equal_receipts_of_several_parties_are_one_row(good: Run) -> None:
    (row,) = receipt_rows(good)
    assert (row.step, row.protection, row.parties) == ("train", "gradient noise", "hospital and insurer")
    assert row.parameters == [("clip", "1"), ("release", "summed")]


def test_bars_are_shares_of_the_largest(good: Run) -> None:
    found = traffic(good)
    assert [row.share for row in found.steps] == [0.0, 0.0, 1.0, pytest.approx(0.3 / 17.3)]
    assert [row.sent for row in found.steps][2] == [14_220_113, 800, 0]
    assert [row.share for row in found.parties] == [1.0, pytest.approx(800 / 14_220_113), 0.0]
    many = good.model_copy(update={"parties": [*good.parties, "a", "b", "c"]})
    assert traffic(many).senders == ["all parties"]
    assert [row.sent for row in traffic(many).steps][2] == [14_220_913]


def test_boxes_of_the_drawing_do_not_overlap_and_lie_inside_it(good: Run) -> None:
    for drawing in graph(good):
        root = ElementTree.fromstring(drawing)
        _, _, width, height = (float(each) for each in root.get("viewBox", "").split())
        boxes = [tuple(float(r.get(k, "")) for k in ("x", "y", "width", "height")) for r in root.iter("rect")]
        assert len(boxes) == len(good.nodes)
        for index, (x, y, w, h) in enumerate(boxes):
            assert x >= 0
            assert y >= 0
            assert x + w <= width
            assert y + h <= height
            for other_x, other_y, other_w, other_h in boxes[:index]:
                apart = x >= other_x + other_w or other_x >= x + w or y >= other_y + other_h or other_y >= y + h
                assert apart


def test_the_drawing_names_every_step_with_its_state(failed: Run) -> None:
    label = ElementTree.fromstring(graph(failed)[0]).get("aria-label", "")
    assert "patients (from cache); clients (ran); train after patients and clients (failed)" in label
    assert "evaluate after train (not reached)" in label


def test_a_long_pipeline_is_drawn_downwards_only(good: Run) -> None:
    nodes = [
        {"name": f"step_number_{i}", "component": "c", "status": "ran", "needs": {"x": [f"step_number_{i - 1}.y"]}}
        for i in range(15)
    ]
    drawings = graph(_run(*nodes))
    assert len(drawings) == 1
    assert len(graph(good)) == 2


def _run(*nodes: dict[str, Any]) -> Run:
    return Run.model_validate(
        {
            "name": "r",
            "status": "ok",
            "mode": "simulation",
            "file": {"path": "p", "sha256": "s"},
            "started": "2026-01-01T00:00:00Z",
            "parties": ["a", "b"],
            "nodes": list(nodes),
        }
    )


def test_a_training_of_one_reported_epoch_is_a_result_and_its_epoch_a_whole_number(good: Run) -> None:
    history = table("history", epoch=[20.0], train_loss=[0.1])
    node = {
        "name": "n",
        "component": "c",
        "status": "ran",
        "metrics": {"test_auc": 0.9},
        "report": [history.model_dump()],
    }
    (step,) = step_reports(_run(node))
    assert step.is_result
    assert step.sheets[0].rows == [["20", "0.100"]]
    (counted,) = step_reports(_run({"name": "n", "component": "c", "status": "ran", "metrics": {"rows": 3}}))
    assert not counted.is_result


def test_a_receipt_that_names_nobody_says_none(good: Run) -> None:
    good.nodes[2].receipts[0].parameters["opened_to"] = []
    assert ("opened to", "none") in receipt_rows(good)[0].parameters
