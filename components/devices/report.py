"""A component's public report, in SecretFlow's own form, so that SecretPad shows it and `run.json` keeps it.

Tabs with these names are drawn in `report.html`: ``metrics`` (values; they become the run's metrics), ``history``
(table, first column is the x axis), ``roc`` (table: false_positive_rate, true_positive_rate), ``calibration`` (table:
mean_score, positive_rate, rows), ``confusion`` (values: true_positive, false_positive, true_negative, false_negative).
``hint`` (one text) is shown on the terminal, too.
Every other tab is shown as a table.
"""

from collections.abc import Mapping, Sequence

from secretflow.component.core import Output, Reporter

Scalar = int | float | bool | str


class ReportBuilder:
    """Collects tabs, then writes them to a component's report output. All parties must add the same tabs."""

    def __init__(self, name: str, desc: str = "") -> None:
        self._reporter = Reporter(name, desc)

    def values(self, name: str, values: Mapping[str, Scalar], desc: str = "") -> "ReportBuilder":
        """A tab of named scalars, numpy's among them. SecretFlow carries floats with 32 bits."""
        plain = {key: _plain(value) for key, value in values.items()}
        self._reporter.add_tab(Reporter.build_descriptions(plain, name, desc), name=name, desc=desc)
        return self

    def table(self, name: str, columns: Mapping[str, Sequence[Scalar]], desc: str = "") -> "ReportBuilder":
        """A tab with a table; every column has the same length, and a table without rows is left out.

        Raises:
            ValueError: columns of different lengths.
        """
        lengths = {key: len(column) for key, column in columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"table '{name}': columns of different lengths, {lengths}.")
        if any(lengths.values()):
            data = {key: _one_type(column) for key, column in columns.items()}
            self._reporter.add_tab(Reporter.build_table(data, name, desc), name=name, desc=desc)
        return self

    def hint(self, text: str) -> "ReportBuilder":
        """A word to whoever runs this, shown when the step ends; nothing where ``text`` is empty."""
        return self.values("hint", {"hint": text}) if text else self

    def write(self, output: Output) -> None:
        output.data = self._reporter.to_distdata()


def _plain(value: Scalar) -> Scalar:
    """numpy's scalars as Python's: SecretFlow looks at the type."""
    item = getattr(value, "item", None)
    return item() if item is not None else value


def _one_type(column: Sequence[Scalar]) -> list[Scalar]:
    """SecretFlow takes a column's type from its first cell: whole numbers among floats become floats."""
    cells = [_plain(value) for value in column]
    if any(isinstance(cell, float) for cell in cells):
        return [float(cell) if isinstance(cell, int) else cell for cell in cells]
    return cells
