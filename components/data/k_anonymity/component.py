"""Makes one party's table k-anonymous before anything of it is used together with others.

Input    ``data``: a table of one party.
Outputs  ``table``: quasi-identifiers generalised, or rows of small classes dropped. ``report``: figures.
Public   column names and types, row count, and the figures in the report (class sizes, loss per column).
Claims   k-anonymity and l-diversity of the named columns, measured on the result by code of its own. IDs that are kept,
         and columns that are not named, can still single out a person.
"""

from typing import Any

import pandas as pd
from secretflow.component.core import Component, Context, DistDataType, Field, Input, Interval, Output, VTable, register

from veilflow.components.data.k_anonymity.anonymise import anonymise
from veilflow.components.data.k_anonymity.spec import DIVERSITIES, METHODS, RELEASES, AnonymitySpec
from veilflow.components.data.names import require_columns
from veilflow.components.devices.attributes import decimal
from veilflow.components.devices.events import receipt
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.report import ReportBuilder
from veilflow.components.devices.schemas import names_of_kind, publish_schemas
from veilflow.components.devices.tables import read_frame, write_table


@register(domain="data", version="1.0.0", name="k_anonymize")
class KAnonymize(Component):
    """Generalise or suppress quasi-identifiers until every row looks like at least k - 1 others."""

    quasi_identifiers: list[str] = Field.table_column_attr(
        "data", desc="Features by which somebody could be recognised.", limit=Interval.closed(1, None)
    )
    k: int = Field.attr(
        desc="Every combination of quasi-identifiers occurs at least so often.",
        default=5,
        bound_limit=Interval.closed(2, None),
    )
    method: str = Field.attr(
        desc="mondrian: generalise values and keep all rows; suppress: keep values and drop rows of small classes.",
        default="mondrian",
        choices=list(METHODS),
    )
    release: str = Field.attr(
        desc="What stands for a class's numbers: the midpoint of its range, or the range as text.",
        default="midpoint",
        choices=list(RELEASES),
    )
    l: int = Field.attr(  # noqa: E741
        desc="Wanted diversity of the sensitive column within each class; 1 for none.",
        default=1,
        bound_limit=Interval.closed(1, None),
    )
    diversity: str = Field.attr(
        desc="distinct: l different values; entropy: as diverse as l equally frequent values.",
        default="distinct",
        choices=list(DIVERSITIES),
    )
    sensitive: str = Field.attr(desc="The column whose diversity counts; left out, the label.", default="")
    max_suppressed: float = Field.attr(
        desc="The share of rows that method: suppress may drop.", default=0.1, bound_limit=Interval.closed(0, 1)
    )
    ids: str = Field.attr(
        desc="Keep IDs (an alignment needs them), or drop them.", default="keep", choices=["keep", "drop"]
    )
    data: Input = Field.input(desc="The table.", types=[DistDataType.INDIVIDUAL_TABLE])
    table: Output = Field.output(desc="The k-anonymous table.", types=[DistDataType.INDIVIDUAL_TABLE])
    report: Output = Field.output(desc="Figures of anonymity and loss.", types=[DistDataType.REPORT])

    def evaluate(self, ctx: Context) -> None:
        source = VTable.from_distdata(self.data)
        part = source.get_party(0)
        party, label = part.party, names_of_kind(part.schema, "label")
        features, ids = names_of_kind(part.schema, "feature"), names_of_kind(part.schema, "id")
        require_columns(self.quasi_identifiers, features, "the features of the table")
        spec = AnonymitySpec(
            quasi_identifiers=tuple(self.quasi_identifiers),
            k=self.k,
            method=self.method,
            release=self.release,
            l=self.l,
            diversity=self.diversity,
            sensitive=self.sensitive or (label[0] if len(label) == 1 else ""),
            max_suppressed=decimal(self.max_suppressed),
        )
        spec.check()
        dropped = ids if self.ids == "drop" else []
        frame, found = run_on(party, _anonymise_here, read_frame(ctx, part), spec, dropped, returns=2)
        figures: dict[str, Any] = publish(found)
        write_table(ctx, self.table, {party: frame}, publish_schemas({party: frame}, {party: part.schema.kinds}))
        if ctx.self_party == party and figures["k"] >= self.k:  # as measured on the result, not as asked for
            receipt(ctx, "k_anonymity", k=self.k, measured_k=figures["k"], l=self.l, ids=self.ids)
        _write_report(self.report, spec, figures)


def _anonymise_here(
    frame: pd.DataFrame, spec: AnonymitySpec, dropped: list[str]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    shown, figures = anonymise(frame, spec)
    return shown.drop(columns=dropped), figures


def _write_report(output: Output, spec: AnonymitySpec, figures: dict[str, Any]) -> None:
    report = ReportBuilder("k_anonymize", "How anonymous the table is, measured on the result, and what it cost.")
    asked = {"k_asked": spec.k, "l_asked": spec.l}
    keys = ("k", "l", "rows_in", "rows", "suppressed", "classes", "discernibility")
    rates = {
        "suppression_rate": figures["suppressed"] / figures["rows_in"],
        "information_loss": sum(figures["loss"].values()) / len(figures["loss"]),
    }
    report.values("anonymity", {**asked, **{key: figures[key] for key in keys}, **rates})
    report.table("loss", {"column": list(figures["loss"]), "loss": list(figures["loss"].values())})
    bands = figures["sizes"]
    report.table(
        "class_sizes",
        {
            "from_rows": [band[0] for band in bands],
            "to_rows": [band[1] for band in bands],
            "classes": [band[2] for band in bands],
        },
    )
    report.write(output)
