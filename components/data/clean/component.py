"""Cleans a table at each party on its own columns.

Input    ``data``: a table of one party, or of several whose rows stand side by side.
Outputs  ``table``: the same columns, cleaned. ``rule``: how, at each party for its own columns. ``report``: counts.
Public   column names and types, and the counts in the report. Statistics (means, bounds) stay at their owner.
"""

from typing import Any

import numpy as np
import pandas as pd
from secretflow.component.core import Component, Context, DistDataType, Field, Input, Interval, Output, VTable, register

from veilflow.components.data.clean.clean import clean
from veilflow.components.data.clean.spec import DUPLICATES, MISSING, OUTLIERS, CleanSpec, vertical_problem
from veilflow.components.data.names import parse_pairs, require_columns
from veilflow.components.data.rules import CLEAN_RULE
from veilflow.components.devices.attributes import decimal
from veilflow.components.devices.objects import write_object
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.report import ReportBuilder
from veilflow.components.devices.schemas import names_of_kind, publish_schemas
from veilflow.components.devices.tables import read_frame, write_table
from veilflow.components.errors import ComponentError


@register(domain="data", version="1.0.0", name="clean")
class Clean(Component):
    """Treat duplicates, outliers and missing values; the fitted rule can be applied to other rows."""

    missing: str = Field.attr(
        desc="Missing feature cells: left, their rows dropped, or filled (text: mean and median mean most_frequent).",
        default="median",
        choices=list(MISSING),
    )
    missing_by_column: list[str] = Field.attr(desc="Exceptions, as column:treatment.", default=[])
    fill_number: float = Field.attr(desc="What missing: constant fills into numeric columns.", default=0.0)
    fill_text: str = Field.attr(desc="What missing: constant fills into text columns.", default="missing")
    outliers: str = Field.attr(
        desc="Numeric outliers: beyond the quantiles, so many standard deviations, or Tukey's fences.",
        default="none",
        choices=list(OUTLIERS),
    )
    outliers_by_column: list[str] = Field.attr(desc="Exceptions, as column:method.", default=[])
    outlier_action: str = Field.attr(
        desc="Clip outliers to the bound, or blank them (then they are missing).",
        default="clip",
        choices=["clip", "blank"],
    )
    quantile: float = Field.attr(
        desc="outliers: quantile cuts off this share at either end.", default=0.01, bound_limit=Interval.open(0, 0.5)
    )
    zscore: float = Field.attr(
        desc="outliers: zscore begins so many standard deviations from the mean.",
        default=3.0,
        bound_limit=Interval.open(0, None),
    )
    iqr: float = Field.attr(
        desc="outliers: iqr begins so many quartile distances beyond the quartiles.",
        default=1.5,
        bound_limit=Interval.open(0, None),
    )
    duplicates: str = Field.attr(
        desc="Rows that repeat an ID: an error, only the first or last kept, or all kept.",
        default="error",
        choices=list(DUPLICATES),
    )
    equal_rows: str = Field.attr(
        desc="Rows equal in every column: all kept, or dropped but for the first.",
        default="keep",
        choices=["keep", "drop"],
    )
    data: Input = Field.input(
        desc="The table to clean.", types=[DistDataType.INDIVIDUAL_TABLE, DistDataType.VERTICAL_TABLE]
    )
    table: Output = Field.output(
        desc="The cleaned table.", types=[DistDataType.INDIVIDUAL_TABLE, DistDataType.VERTICAL_TABLE]
    )
    rule: Output = Field.output(desc="The fitted rule, for data/apply_rules and prediction.", types=[CLEAN_RULE])
    report: Output = Field.output(desc="Counts of what was found and changed.", types=[DistDataType.REPORT])

    def evaluate(self, ctx: Context) -> None:
        source, spec = VTable.from_distdata(self.data), self._spec()
        named = [*spec.missing_by_column, *spec.outliers_by_column]
        require_columns(named, names_of_kind(source.flatten_schema, "feature"), "the features of the table")
        if not source.is_individual and spec.drops_rows:
            raise ComponentError(vertical_problem(spec.drops_rows))
        frames, rules, found = {}, {}, {}
        for party, part in source.parties.items():
            columns = [names_of_kind(part.schema, kind) for kind in ("id", "feature", "label")]
            frames[party], rules[party], found[party] = run_on(
                party, _clean_here, read_frame(ctx, part), *columns, spec.only(columns[1]), returns=3
            )
        counts = publish(found)
        kinds = {party: schema.kinds for party, schema in source.schemas.items()}
        write_table(ctx, self.table, frames, publish_schemas(frames, kinds))
        write_object(ctx, self.rule, CLEAN_RULE, rules, {"parties": list(rules)})
        _write_report(self.report, counts)

    def _spec(self) -> CleanSpec:
        return CleanSpec(
            missing=self.missing,
            missing_by_column=parse_pairs(self.missing_by_column, MISSING, "missing_by_column"),
            fill_number=decimal(self.fill_number),
            fill_text=self.fill_text,
            outliers=self.outliers,
            outliers_by_column=parse_pairs(self.outliers_by_column, OUTLIERS, "outliers_by_column"),
            outlier_action=self.outlier_action,
            quantile=decimal(self.quantile),
            zscore=decimal(self.zscore),
            iqr=decimal(self.iqr),
            duplicates=self.duplicates,
            equal_rows=self.equal_rows,
        )


def _clean_here(
    frame: pd.DataFrame, ids: list[str], features: list[str], label: list[str], spec: CleanSpec
) -> tuple[pd.DataFrame, tuple[dict[str, Any], dict[str, np.ndarray]], dict[str, Any]]:
    """`clean`, with the rule as `write_object` wants it."""
    cleaned, rule, counts = clean(frame, ids, features, label, spec)
    return cleaned, (rule, {}), counts


def _write_report(output: Output, counts: dict[str, dict[str, Any]]) -> None:
    report = ReportBuilder("clean", "What was found and changed, per party and column.")
    totals = ("rows_in", "equal_rows", "repeated_ids", "rows_with_gaps_dropped", "rows")
    rows: dict[str, list[Any]] = {"party": list(counts)}
    report.table("rows", {**rows, **{key: [found[key] for found in counts.values()] for key in totals}})
    cells = [(party, name, one) for party, found in counts.items() for name, one in found["columns"].items()]
    table: dict[str, list[Any]] = {"party": [cell[0] for cell in cells], "column": [cell[1] for cell in cells]}
    keys = ("infinite", "outliers", "missing", "filled")
    report.table("columns", {**table, **{key: [cell[2][key] for cell in cells] for key in keys}})
    report.write(output)
