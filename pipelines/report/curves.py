"""Charts of the tabs every evaluation and every training step fills: history, ROC, calibration."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from veilflow.pipelines.ledger import Scalar, Tab
from veilflow.pipelines.report.axes import HEIGHT, WIDTH, Axes, Point, ticks
from veilflow.pipelines.report.numbers import scalar
from veilflow.pipelines.report.svg import picture
from veilflow.pipelines.report.words import label

SERIES_STYLES = 5
"""How many line styles the style sheet has; a chart with more series is split."""
_UNIT = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]


@dataclass(frozen=True)
class Figure:
    """A drawing with its title and, for several lines, their names by style."""

    title: str
    drawing: Markup
    keys: list[tuple[str, str]] = field(default_factory=list)


def roc_figure(tab: Tab, auc: Scalar = None) -> Figure | None:
    """The ROC curve over the diagonal of guessing; None if the tab has not the columns for it."""
    points = _points(tab, "false_positive_rate", "true_positive_rate")
    if len(points) < 2:
        return None
    axes = Axes(_UNIT, _UNIT)
    area = "" if auc is None else f"; the area below it (AUC) is {scalar(auc)}"
    drawn = [
        *axes.frame("false-positive rate", "true-positive rate"),
        axes.line([(0, 0), (1, 1)], "guess"),
        axes.line(points, "series-0"),
    ]
    title = f"ROC curve: share of positives found against share of negatives flagged{area}."
    return Figure("ROC curve", picture(WIDTH, HEIGHT, title, drawn))


def calibration_figure(tab: Tab) -> Figure | None:
    """Share of positives against mean score, dots as large as their share of rows; None without the columns."""
    points = _points(tab, "mean_score", "positive_rate")
    names = [column.name for column in tab.columns]
    if not points or len(points) != len(tab.rows) or "rows" not in names:
        return None
    rows = [float(each) if isinstance(each, (int, float)) else 0.0 for each in tab.column("rows")]
    largest = max([*rows, 1.0])
    axes = Axes(_UNIT, _UNIT)
    drawn = [
        *axes.frame("mean score", "share of positives"),
        axes.line([(0, 0), (1, 1)], "guess"),
        axes.line(points, "series-0 thin"),
        *(axes.dot(x, y, 2 + 3 * (n / largest) ** 0.5, "series-0") for (x, y), n in zip(points, rows, strict=True)),
    ]
    said = "; ".join(f"{scalar(x)} scored, {scalar(y)} positive" for x, y in points)
    return Figure("Calibration", picture(WIDTH, HEIGHT, f"Calibration curve: {said}.", drawn))


def history_figures(tab: Tab) -> list[Figure]:
    """One chart per quantity: columns that end in the same word, ``train_loss`` and ``validation_loss``, share it."""
    if len(tab.rows) < 2 or len(tab.columns) < 2 or not _numeric(tab, tab.columns[0].name):
        return []
    groups: dict[str, list[str]] = {}
    for column in tab.columns[1:]:
        if _numeric(tab, column.name):
            groups.setdefault(column.name.split("_")[-1], []).append(column.name)
    return [
        _history(tab, names[start : start + SERIES_STYLES], quantity)
        for quantity, names in groups.items()
        for start in range(0, len(names), SERIES_STYLES)
    ]


def _history(tab: Tab, names: Sequence[str], quantity: str) -> Figure:
    x_name = tab.columns[0].name
    series = {name: _with_gaps(tab, x_name, name) for name in names}
    known = [point for points in series.values() for point in points if point is not None]
    xs, ys = [x for x, _ in known], [y for _, y in known]
    whole = all(float(x).is_integer() for x in xs)
    axes = Axes(_tight(ticks(min(xs), max(xs), whole=whole), xs), ticks(min(ys), max(ys)))
    y_label = label(quantity if len(names) > 1 else names[0])
    lines = [axes.line(points, f"series-{index}") for index, points in enumerate(series.values())]
    title = f"{y_label[:1].upper()}{y_label[1:]} by {label(x_name)}"
    said = "; ".join(f"{label(name)} {_ends(points)}" for name, points in series.items())
    drawing = picture(WIDTH, HEIGHT, f"{title}: {said}.", [*axes.frame(label(x_name), y_label), *lines])
    keys = [(f"series-{index}", label(name)) for index, name in enumerate(names)] if len(names) > 1 else []
    return Figure(title, drawing, keys)


def _ends(points: Sequence[Point | None]) -> str:
    known = [point for point in points if point is not None]
    return f"from {scalar(known[0][1])} to {scalar(known[-1][1])}"


def _tight(scale: list[float], values: Sequence[float]) -> list[float]:
    """Drop a first or last tick that lies outside the data, so that lines span the chart."""
    step = scale[1] - scale[0]
    inner = [tick for tick in scale if min(values) - 1e-9 * step <= tick <= max(values) + 1e-9 * step]
    return inner if len(inner) > 1 and inner[0] - min(values) < 1e-9 and max(values) - inner[-1] < 1e-9 else scale


def _numeric(tab: Tab, name: str) -> bool:
    cells = tab.column(name)
    return any(_number(cell) for cell in cells) and all(cell is None or _number(cell) for cell in cells)


def _number(cell: Scalar) -> bool:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)


def _with_gaps(tab: Tab, x_name: str, y_name: str) -> list[Point | None]:
    return [
        (float(x), float(y)) if isinstance(x, (int, float)) and isinstance(y, (int, float)) else None
        for x, y in zip(tab.column(x_name), tab.column(y_name), strict=True)
    ]


def _points(tab: Tab, x_name: str, y_name: str) -> list[Point]:
    if not {x_name, y_name} <= {column.name for column in tab.columns}:
        return []
    return [point for point in _with_gaps(tab, x_name, y_name) if point is not None]
