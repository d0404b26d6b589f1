"""Reads one party's table; column names, types, row count and counts of defects become public, no cell does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from secretflow.component.core import Component, Context, DistDataType, Field, Output, VTableSchema, register
from secretflow.component.core import VTableField as SchemaField

from veilflow.components.data.names import parse_pairs
from veilflow.components.data.read.normalise import hint, normalise
from veilflow.components.data.read.spec import KEEP_LABEL, TYPES, ReadSpec
from veilflow.components.devices.attributes import decimal
from veilflow.components.devices.early import begun
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.report import ReportBuilder
from veilflow.components.devices.schemas import KINDS
from veilflow.components.devices.tables import write_table
from veilflow.components.errors import ComponentError
from veilflow.datasets.errors import SourceError
from veilflow.datasets.sources import open_table


@register(domain="data", version="1.0.0", name="read_table")
class ReadTable(Component):
    """Read a CSV or Parquet file, a sample or generated rows at one party, with types, IDs and a label."""

    party: str = Field.party_attr(desc="The party whose table this is; it reads the file on its own machine.")
    path: str = Field.attr(desc="A .csv or .parquet file, sample://set/part, or generate://set/part?rows=1000&seed=7.")
    id: list[str] = Field.attr(desc="ID columns, kept as text as they stand.", default=[])
    label: str = Field.attr(desc="The label column, if this party holds it.", default="")
    label_above: float = Field.attr(
        desc="Make the label 1 where it is above this number and 0 elsewhere; left out, the label stays as it is.",
        default=KEEP_LABEL,
    )
    label_is: str = Field.attr(
        desc="Make the label 1 where its cell is this and 0 elsewhere, as in Y; left out, the label stays as it is.",
        default="",
    )
    columns: list[str] = Field.attr(desc="Features to keep; left out, all columns are kept.", default=[])
    drop: list[str] = Field.attr(desc="Columns to leave out (instead of columns).", default=[])
    prefix: str = Field.attr(
        desc="Put before every feature's name, where another party uses the same names: bank_ makes x0 bank_x0.",
        default="",
    )
    types: list[str] = Field.attr(
        desc="Declared types as column:type with int, float, bool or str; other columns are what they look like.",
        default=[],
    )
    parse_failures: str = Field.attr(
        desc="Cells that are not of their declared type: an error, or missing.",
        default="error",
        choices=["error", "missing"],
    )
    infinite: str = Field.attr(
        desc="Infinite numbers: an error, or missing.", default="error", choices=["error", "missing"]
    )
    incomplete_rows: str = Field.attr(
        desc="Rows without an ID or label: an error, or dropped.", default="error", choices=["error", "drop"]
    )
    table: Output = Field.output(desc="The table, at its party.", types=[DistDataType.INDIVIDUAL_TABLE])
    report: Output = Field.output(desc="Columns, types and counts of defects.", types=[DistDataType.REPORT])

    def reading(self, ctx: Context) -> Callable[[], tuple[pd.DataFrame, dict[str, Any]]]:
        """See `Reading`."""
        spec, path, root = self._spec(), self.path, getattr(ctx, "data_root", None)

        def load() -> tuple[pd.DataFrame, dict[str, Any]]:
            frame, facts = normalise(_open(path, root, spec), spec, f"'{path}'")
            return frame, facts.as_document()

        return load

    def evaluate(self, ctx: Context) -> None:
        frame, found = run_on(self.party, begun(ctx, self.reading(ctx)), returns=2)
        facts = publish(found)
        fields = [SchemaField(column["name"], column["type"], KINDS[column["kind"]]) for column in facts["columns"]]
        write_table(ctx, self.table, {self.party: frame}, {self.party: VTableSchema(fields)})
        _write_report(self.report, self.party, facts)

    def _spec(self) -> ReadSpec:
        spec = ReadSpec(
            ids=tuple(self.id),
            label=self.label,
            label_above=decimal(self.label_above),
            label_is=self.label_is,
            columns=tuple(self.columns),
            drop=tuple(self.drop),
            prefix=self.prefix,
            types=parse_pairs(self.types, TYPES, "types"),
            parse_failures=self.parse_failures,
            infinite=self.infinite,
            incomplete_rows=self.incomplete_rows,
        )
        spec.check()
        return spec


def _open(path: str, root: Path | None, spec: ReadSpec) -> pd.DataFrame:
    try:
        return open_table(path, root, spec.wanted)
    except SourceError as problem:
        raise ComponentError(str(problem), problem.own) from None


def _write_report(output: Output, party: str, facts: dict[str, Any]) -> None:
    columns: list[dict[str, Any]] = facts["columns"]
    text = [column["name"] for column in columns if column["kind"] == "feature" and column["type"] == "str"]
    report = ReportBuilder("read_table", f"The table of {party}.")
    report.values(
        "rows",
        {
            "party": party,
            "rows_read": facts["rows_read"],
            "rows": facts["rows"],
            "dropped_incomplete": facts["incomplete_rows"],
            "duplicate_ids": facts["duplicate_ids"],
            "non_numeric_features": ", ".join(text) or "none",
        },
    )
    report.hint(hint(facts))
    keys = ("name", "kind", "type", "missing", "unreadable", "infinite", "numbers_in_text")
    report.table("columns", {key: [column[key] for column in columns] for key in keys})
    report.write(output)
