"""Per step what its component reported: figures of merit, charts, the confusion matrix, and the rest as tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from veilflow.pipelines.ledger import Column, Node, Run, Scalar, Tab
from veilflow.pipelines.report.curves import Figure, calibration_figure, history_figures, roc_figure
from veilflow.pipelines.report.numbers import scalar
from veilflow.pipelines.report.words import HEADLINES, label

MAX_ROWS = 40
MAX_COLUMNS = 8
"""A wider table is printed in parts that repeat its first column, as books do, rather than scrolled."""
_CONFUSION = ("true_positive", "false_negative", "false_positive", "true_negative")


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix: row counts, and each as a share of its true class (for the shading)."""

    counts: dict[str, int]
    shares: dict[str, float]


@dataclass(frozen=True)
class Sheet:
    """A table that fits a page."""

    title: str
    desc: str
    head: list[str]
    numeric: list[bool]
    rows: list[list[str]]
    more: int = 0
    """Rows left out; they are in `run.json`."""


@dataclass(frozen=True)
class Values:
    """Named values in a row; without a title they are the step's metrics."""

    title: str
    desc: str
    items: list[tuple[str, str]]


@dataclass
class StepReport:
    """One step's section."""

    node: Node
    values: list[Values] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    matrix: Matrix | None = None
    sheets: list[Sheet] = field(default_factory=list)

    @property
    def drawn(self) -> bool:
        """Whether there is more to see than numbers."""
        return bool(self.figures or self.matrix)

    @property
    def is_result(self) -> bool:
        """Whether it says how good a model is: drawn, or in figures of merit alone (one reported epoch)."""
        return self.drawn or any(name in HEADLINES or name.split("_")[-1] == "loss" for name in self.node.metrics)


def step_reports(run: Run) -> list[StepReport]:
    """The sections of all steps that reported anything, in run order."""
    return [_step(node) for node in run.nodes if node.report or node.metrics]


def _step(node: Node) -> StepReport:
    step = StepReport(node)
    if node.metrics:
        step.values.append(_values("", "", node.metrics))
    for tab in node.report:
        if tab.name == "metrics" and tab.kind == "values":
            continue  # they are the node's metrics
        drawn = _figures(tab, node.metrics.get("auc"))
        matrix = confusion_matrix(tab) if tab.name == "confusion" and step.matrix is None else None
        step.figures += drawn
        step.matrix = step.matrix or matrix
        if drawn or matrix:
            continue
        if tab.kind == "values":
            step.values += [_values(label(tab.name), tab.desc, tab.values)] if tab.values else []
        else:
            step.sheets += printed(tab)
    return step


def _values(title: str, desc: str, values: Mapping[str, Scalar]) -> Values:
    return Values(title, desc, [(label(name), scalar(value)) for name, value in values.items()])


def _figures(tab: Tab, auc: Scalar) -> list[Figure]:
    if tab.kind != "table":
        return []
    if tab.name == "roc":
        return [figure] if (figure := roc_figure(tab, auc)) else []
    if tab.name == "calibration":
        return [figure] if (figure := calibration_figure(tab)) else []
    return history_figures(tab) if tab.name == "history" else []


def confusion_matrix(tab: Tab) -> Matrix | None:
    """The matrix in a values tab with the four counts; None if they are not there."""
    counts = {name: value for name, value in tab.values.items() if isinstance(value, int)}
    if any(name not in counts for name in _CONFUSION):
        return None
    positives = counts["true_positive"] + counts["false_negative"]
    negatives = counts["false_positive"] + counts["true_negative"]
    totals = dict(zip(_CONFUSION, (positives, positives, negatives, negatives), strict=True))
    shares = {name: counts[name] / totals[name] if totals[name] else 0.0 for name in _CONFUSION}
    return Matrix({name: counts[name] for name in _CONFUSION}, shares)


def printed(tab: Tab) -> list[Sheet]:
    """A table tab as one table, or as several of at most `MAX_COLUMNS` columns."""
    if not tab.columns:
        return []
    firsts = _counted([row[0] for row in tab.rows])
    rest = list(range(1, len(tab.columns)))
    parts = [rest[start : start + MAX_COLUMNS - 1] for start in range(0, len(rest), MAX_COLUMNS - 1)] or [[]]
    sheets = []
    for number, part in enumerate(parts, start=1):
        chosen = [0, *part]
        rows = [[first, *(scalar(row[index]) for index in part)] for first, row in zip(firsts, tab.rows, strict=True)]
        columns = [tab.columns[index] for index in chosen]
        suffix = f" ({number} of {len(parts)})" if len(parts) > 1 else ""
        sheets.append(_sheet(tab, suffix, [_head(c) for c in columns], [_is_number(c) for c in columns], rows))
    return sheets


def _sheet(tab: Tab, suffix: str, head: list[str], numeric: list[bool], rows: list[list[str]]) -> Sheet:
    desc = tab.desc if not suffix or suffix.startswith(" (1 ") else ""
    return Sheet(f"{label(tab.name)}{suffix}", desc, head, numeric, rows[:MAX_ROWS], max(0, len(rows) - MAX_ROWS))


def _counted(values: list[Scalar]) -> list[str]:
    """The first column, which names or counts the rows: epoch 20.0 is 20."""
    whole = [int(value) for value in values if isinstance(value, float) and value.is_integer()]
    return [scalar(value) for value in (whole if len(whole) == len(values) else values)]


def _head(column: Column) -> str:
    return label(column.name)


def _is_number(column: Column) -> bool:
    return column.type in ("int", "float")
