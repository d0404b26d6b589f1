"""Scales a table's numeric features at each party on its own columns.

Input    ``data``: the *train* rows; other rows follow with data/apply_rules and ``rule``.
Outputs  ``table``: the same columns, scaled. ``rule``: shift and factor per column, at their owner. ``report``.
Public   column names and types, how many columns were scaled, and the names of those that are constant or have a few
         values far out.
"""

from typing import Any

import numpy as np
import pandas as pd
from secretflow.component.core import Component, Context, DistDataType, Field, Input, Output, VTable, register

from veilflow.components.data.names import listed, parse_pairs, require_columns
from veilflow.components.data.rules import SCALE_RULE
from veilflow.components.data.scale.rule import apply_scale, constant_columns, fit_scale, stretched_columns
from veilflow.components.data.scale.spec import METHODS
from veilflow.components.devices.objects import write_object
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.report import ReportBuilder
from veilflow.components.devices.schemas import names_of_kind, publish_schemas
from veilflow.components.devices.tables import read_frame, write_table


@register(domain="data", version="1.0.0", name="scale")
class Scale(Component):
    """Scale numeric features: standard (mean 0, deviation 1) or minmax (0 to 1), fitted on the rows given."""

    method: str = Field.attr(
        desc="standard: mean 0, standard deviation 1; minmax: 0 to 1; none.", default="standard", choices=list(METHODS)
    )
    method_by_column: list[str] = Field.attr(desc="Exceptions, as column:method.", default=[])
    data: Input = Field.input(
        desc="The train rows.", types=[DistDataType.INDIVIDUAL_TABLE, DistDataType.VERTICAL_TABLE]
    )
    table: Output = Field.output(
        desc="The scaled rows.", types=[DistDataType.INDIVIDUAL_TABLE, DistDataType.VERTICAL_TABLE]
    )
    rule: Output = Field.output(desc="The fitted rule, for data/apply_rules and prediction.", types=[SCALE_RULE])
    report: Output = Field.output(desc="Scaled and constant columns.", types=[DistDataType.REPORT])

    def evaluate(self, ctx: Context) -> None:
        source = VTable.from_distdata(self.data)
        by_column = parse_pairs(self.method_by_column, METHODS, "method_by_column")
        require_columns(by_column, names_of_kind(source.flatten_schema, "feature"), "the features of the table")
        frames, rules, found = {}, {}, {}
        for party, part in source.parties.items():
            features = names_of_kind(part.schema, "feature")
            own = {name: method for name, method in by_column.items() if name in features}
            frames[party], rules[party], found[party] = run_on(
                party, _scale_here, read_frame(ctx, part), features, self.method, own, returns=3
            )
        facts = publish(found)
        kinds = {party: schema.kinds for party, schema in source.schemas.items()}
        write_table(ctx, self.table, frames, publish_schemas(frames, kinds))
        write_object(ctx, self.rule, SCALE_RULE, rules, {"parties": list(rules)})
        _write_report(self.report, facts)


def _scale_here(
    frame: pd.DataFrame, features: list[str], method: str, by_column: dict[str, str]
) -> tuple[pd.DataFrame, tuple[dict[str, Any], dict[str, np.ndarray]], dict[str, Any]]:
    rule = fit_scale(frame, features, method, by_column)
    scaled = apply_scale(frame, rule)
    facts = {
        "features": len(features),
        "scaled": len(rule["columns"]),
        "constant": constant_columns(rule),
        "stretched": stretched_columns(scaled, rule),
    }
    return scaled, (rule, {}), facts


def _hint(facts: dict[str, dict[str, Any]]) -> str:
    """Of columns that a model will hardly see."""
    found = [f"{name} at {party}" for party, own in facts.items() for name in own["stretched"]]
    if not found:
        return ""
    return (
        f"a few values far out decide the scale of {listed(found)}, and all others become nearly alike: does a number "
        "such as -999 stand for a missing one? Correct it in the file, or set outliers in data/clean before."
    )


def _write_report(output: Output, facts: dict[str, dict[str, Any]]) -> None:
    report = ReportBuilder("scale", "Features scaled at each party; constant ones become 0.")
    report.table(
        "columns",
        {
            "party": list(facts),
            "features": [found["features"] for found in facts.values()],
            "scaled": [found["scaled"] for found in facts.values()],
            "constant": [listed(found["constant"]) or "none" for found in facts.values()],
        },
    )
    report.hint(_hint(facts))
    report.write(output)
