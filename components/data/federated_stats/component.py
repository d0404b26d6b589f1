"""Means, variances, quantiles and bins over several clients' rows; only sums over all clients are ever opened.

Inputs   ``tables``: one per client, with the same feature columns.
Outputs  ``clean``: bounds and fillings; ``scale``: shift and factor (of the cleaned columns); the same at every
         party, for data/apply_rules and horizontal/fedavg_train. ``report``: the statistics.
Public   schema, row counts, each client's power of two above a column's largest magnitude, and the totals.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from secretflow.component.core import Component, Context, DistDataType, Field, Input, Interval, Output, VTable, register

from veilflow.components.data.clean.rule import apply_clean
from veilflow.components.data.clients import choose_coordinator
from veilflow.components.data.columns import require_same_features
from veilflow.components.data.federated_stats import statistics as stats
from veilflow.components.data.federated_stats.rules import clean_rule, require_visible, scale_rule, treated_units
from veilflow.components.data.federated_stats.spec import FILLS, SCALES, STEPS, StatsSpec
from veilflow.components.data.names import listed
from veilflow.components.data.rules import CLEAN_RULE, SCALE_RULE
from veilflow.components.devices.attributes import decimal, parameters
from veilflow.components.devices.events import sizes
from veilflow.components.devices.objects import write_object
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.report import ReportBuilder
from veilflow.components.devices.schemas import names_of_kind
from veilflow.components.devices.tables import read_frame
from veilflow.components.errors import ComponentError
from veilflow.components.privacy.secagg import fields as sum_fields
from veilflow.components.privacy.secagg.parameters import sum_settings
from veilflow.components.privacy.secagg.secure_sum import SecureSum

Local = Callable[[Any], np.ndarray]


@dataclass
class StatsSum:
    """How the coordinator gets the sums."""

    backend: str = sum_fields.backend()
    keeper: str = sum_fields.keeper()
    key_bits: int = sum_fields.key_bits()


@register(domain="data", version="1.0.0", name="federated_stats")
class FederatedStats(Component):
    """
    Means, variances, quantiles and equal-frequency bins over the rows of several clients with the same columns, from
    secure sums, and the cleaning and scaling rules that follow from them.
    """

    coordinator: str = Field.party_attr(
        desc="Who adds up; empty: the first party without a table.", list_limit=Interval.closed(0, 1)
    )
    method: str = Field.attr(
        desc="standard: mean and deviation; robust: median and quartiles; range: the outer quantiles become 0 and 1.",
        default="standard",
        choices=list(SCALES),
    )
    fill: str = Field.attr(desc="What missing cells get.", default="median", choices=list(FILLS))
    clip: float = Field.attr(
        desc="Values beyond this quantile at either end are set to it; 0: none.",
        default=0.0,
        bound_limit=Interval.closed_open(0, 0.25),
    )
    bins: int = Field.attr(desc="Bins of about equally many rows.", default=10, bound_limit=Interval.closed(2, 100))
    secure_sum: StatsSum = Field.struct_attr(desc="Secure aggregation.")
    tables: list[Input] = Field.input(
        desc="Each client's rows.", types=[DistDataType.INDIVIDUAL_TABLE], list_limit=Interval.closed(2, None)
    )
    clean: Output = Field.output(desc="Bounds and fillings.", types=[CLEAN_RULE])
    scale: Output = Field.output(desc="Shift and factor.", types=[SCALE_RULE])
    report: Output = Field.output(desc="The statistics.", types=[DistDataType.REPORT])

    def evaluate(self, ctx: Context) -> None:
        spec = StatsSpec(self.method, self.fill, decimal(self.clip), int(self.bins))
        spec.check()
        tables = {part.party: part for part in (VTable.from_distdata(each).get_party(0) for each in self.tables)}
        if len(tables) < len(self.tables):
            raise ComponentError("a party has more than one of the tables; a client brings one: join its files first.")
        columns = numeric_columns(tables)
        coordinator = choose_coordinator(self.coordinator, list(tables), ctx.parties)
        settings = sum_settings(parameters(self, [f"secure_sum/{each.name}" for each in fields(StatsSum)]))
        secure = SecureSum(ctx, settings, list(tables), coordinator, stats.BOUND)
        sizes(ctx, coordinates=spec.length(len(columns)), rounds=spec.sums())
        frames = {party: read_frame(ctx, part) for party, part in tables.items()}
        totals = _Totals(secure, coordinator, frames, spec.length(len(columns)))
        found = collect(totals, columns, spec)
        secure.receipts()
        for output, kind in ((self.clean, CLEAN_RULE), (self.scale, SCALE_RULE)):
            document = found[kind]
            parts = {party: run_on(party, lambda rule: (rule, {}), document) for party in ctx.parties}
            write_object(ctx, output, kind, parts, {"parties": list(ctx.parties), "common": True})
        _write_report(self.report, columns, found, spec, totals.unlike)


class _Totals:
    """Public totals over all clients of what each computes from its own rows."""

    def __init__(self, secure: SecureSum, coordinator: str, frames: dict[str, Any], length: int) -> None:
        self._secure, self._coordinator, self._length = secure, coordinator, length
        self.frames = frames
        self.unlike = ""

    def of(self, local: Local, held: dict[str, Any] | None = None) -> np.ndarray:
        """The sum over the clients of ``local`` of its frame, or of what each has in ``held``."""
        length = self._length

        def padded(own: Any) -> np.ndarray:
            values = local(own)
            return np.concatenate([values, np.zeros(length - len(values), np.int64)])

        total = self._secure.sum({party: run_on(party, padded, own) for party, own in (held or self.frames).items()})
        numbers: list[int] = publish(run_on(self._coordinator, lambda vector: vector.tolist(), total))
        return np.array(numbers, np.int64)

    def units(self, columns: Sequence[str]) -> list[int]:
        """Per column the largest of the clients' exponents."""
        found = publish({p: run_on(p, stats.exponents, frame, list(columns)) for p, frame in self.frames.items()})
        self.unlike = stats.unlike_magnitudes(columns, found)
        return [max(each) for each in zip(*found.values(), strict=True)]

    def ranked(self, columns: Sequence[str]) -> dict[str, Any]:
        """Every client's values in order, there."""
        return {party: run_on(party, stats.ranked, frame, list(columns)) for party, frame in self.frames.items()}

    def treat(self, rule: dict[str, Any]) -> None:
        """Clean every client's rows."""
        self.frames = {party: run_on(party, apply_clean, frame, rule) for party, frame in self.frames.items()}


def collect(totals: _Totals, columns: Sequence[str], spec: StatsSpec) -> dict[str, Any]:
    """Statistics per column, and both rules."""
    units = totals.units(columns)
    counts, mean = stats.means(totals.of(lambda frame: stats.first_moment(frame, columns, units)), units)
    empty = [name for name, count in zip(columns, counts, strict=True) if count == 0]
    if empty:
        raise ComponentError(
            f"{listed(empty)} has no value at any client; leave it out with 'drop' in data/read_table."
        )
    search, values = stats.QuantileSearch.over(units, counts, spec.levels), totals.ranked(columns)
    for _ in range(STEPS):
        if search.done():
            break
        points = search.points()
        search.narrow(totals.of(lambda own, at=points: stats.counts_up_to(own, columns, at), values))  # type: ignore[misc]
    quantiles = search.found()
    by_column = {
        name: {
            "count": counts[i],
            "mean": mean[i],
            **{f"{q:g}": float(quantiles[i, j]) for j, q in enumerate(spec.levels)},
        }
        for i, name in enumerate(columns)
    }
    cleaning = clean_rule(columns, spec, by_column)
    totals.treat(cleaning)
    units = treated_units(columns, units, cleaning)
    kept, after = stats.means(totals.of(lambda frame: stats.first_moment(frame, columns, units)), units)
    square = totals.of(lambda frame: stats.second_moment(frame, columns, units, after))
    variance = stats.variances(square, units, kept)
    for name, one, two in zip(columns, after, variance, strict=True):
        by_column[name] |= {"cleaned mean": one, "cleaned deviation": two**0.5}
    require_visible(columns, spec, by_column)
    scaling = scale_rule(columns, spec, by_column, after, variance)
    return {"columns": by_column, CLEAN_RULE: cleaning, SCALE_RULE: scaling}


def numeric_columns(tables: dict[str, Any]) -> list[str]:
    """The numeric features, the same at every client.

    Raises:
        ComponentError: the clients' features differ, or none is a number.
    """
    features = {party: names_of_kind(part.schema, "feature") for party, part in tables.items()}
    types = {party: {name: str(kind) for name, kind in part.types.items()} for party, part in tables.items()}
    require_same_features(features, types)
    first = next(iter(tables))
    found = [name for name in features[first] if types[first][name] != "str"]
    if not found:
        raise ComponentError(
            "the tables have no numeric feature: declare 'types' in data/read_table, or leave this step out."
        )
    return found


def _write_report(output: Output, columns: Sequence[str], found: dict[str, Any], spec: StatsSpec, hint: str) -> None:
    by_column = found["columns"]
    report = ReportBuilder("federated_stats", "Over the rows of all clients; no client's own figures are known.")
    names = ("count", "mean", "cleaned mean", "cleaned deviation", "0.25", "0.5", "0.75")
    table = {name: [by_column[column][name] for column in columns] for name in names}
    report.table("statistics", {"column": list(columns), **table}, "Quantiles before cleaning.")
    edges = [f"{number / spec.bins:g}" for number in range(1, spec.bins)]
    report.table(
        "bins",
        {
            "column": list(columns),
            **{f"up to {edge}": [by_column[column][edge] for column in columns] for edge in edges},
        },
        "Upper edges of bins with about equally many rows; the last bin has none.",
    )
    report.hint(hint)
    report.write(output)
