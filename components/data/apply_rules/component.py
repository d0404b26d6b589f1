"""Applies stored rules (clean, scale) to a table, each party its own rules to its own columns.

Inputs   ``data``: the table. ``rules``: in the order in which they were fitted.
Output   ``table``: the same rows, in their order.
Public   column names and types.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from secretflow.component.core import Component, Context, DistDataType, Field, Input, Interval, Output, VTable, register
from secretflow.device import PYUObject

from veilflow.components.data.apply import apply_rules
from veilflow.components.data.names import listed
from veilflow.components.data.rules import RULE_TYPES
from veilflow.components.devices.objects import read_object
from veilflow.components.devices.pyu import run_on
from veilflow.components.devices.schemas import publish_schemas
from veilflow.components.devices.tables import read_frame, write_table
from veilflow.components.errors import ComponentError


@register(domain="data", version="1.0.0", name="apply_rules")
class ApplyRules(Component):
    """Apply rules that data/clean and data/scale fitted elsewhere, such as test rows to be scaled like train rows."""

    data: Input = Field.input(
        desc="The rows to treat.", types=[DistDataType.INDIVIDUAL_TABLE, DistDataType.VERTICAL_TABLE]
    )
    table: Output = Field.output(
        desc="The treated rows.", types=[DistDataType.INDIVIDUAL_TABLE, DistDataType.VERTICAL_TABLE]
    )
    rules: list[Input] = Field.input(
        desc="The rules, in the order in which they were fitted.",
        types=list(RULE_TYPES),
        list_limit=Interval.closed(1, None),
    )

    def evaluate(self, ctx: Context) -> None:
        source = VTable.from_distdata(self.data)
        rules: dict[str, list[PYUObject]] = {party: [] for party in source.parties}
        for stored in self.rules:
            public, parts = read_object(ctx, stored, stored.type)
            strangers = [party for party in parts if party not in rules]
            if strangers and public.get("common"):  # of data/federated_stats: the same at every party
                parts = {party: part for party, part in parts.items() if party in rules}
            elif strangers:
                raise ComponentError(
                    f"a rule belongs to {listed(strangers)}, but the table is held by {listed(source.parties)}."
                )
            for party, part in parts.items():
                rules[party].append(part)
        frames = {
            party: run_on(party, _apply_here, read_frame(ctx, part), *rules[party])
            for party, part in source.parties.items()
        }
        kinds = {party: schema.kinds for party, schema in source.schemas.items()}
        write_table(ctx, self.table, frames, publish_schemas(frames, kinds))


def _apply_here(frame: pd.DataFrame, *stored: tuple[dict[str, Any], Any]) -> pd.DataFrame:
    rules: Sequence[dict[str, Any]] = [document for document, _ in stored]
    return apply_rules(frame, rules)
