"""A component's public report, in SecretFlow's own form, so that SecretPad shows it and `run.json` keeps it.

Tabs with these names are drawn in `report.html`: ``metrics`` (values; they become the run's metrics), ``history``
(table, first column is the x axis), ``roc`` (table: false_positive_rate, true_positive_rate), ``calibration`` (table:
mean_score, positive_rate, rows), ``confusion`` (values: true_positive, false_positive, true_negative, false_negative).
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
        """A tab of named scalars."""
        self._reporter.add_tab(Reporter.build_descriptions(dict(values), name, desc), name=name, desc=desc)
        return self

    def table(self, name: str, columns: Mapping[str, Sequence[Scalar]], desc: str = "") -> "ReportBuilder":
        """A tab with a table; every column has the same, non-zero length."""
        data = {key: list(column) for key, column in columns.items()}
        if data and len(next(iter(data.values()))):
            self._reporter.add_tab(Reporter.build_table(data, name, desc), name=name, desc=desc)
        return self

    def write(self, output: Output) -> None:
        output.data = self._reporter.to_distdata()
