"""Judge scores where they and the label live; publish the figures, or hand them to chosen parties only."""

import logging
from typing import Any

import pandas as pd
from secretflow.component.core import (
    Component,
    Context,
    DistDataType,
    Field,
    Input,
    Interval,
    Output,
    UnionGroup,
    VTable,
    VTableFieldKind,
    VTableParty,
    register,
)
from secretflow.device import PYUObject

from veilflow.components.application.evaluate.evaluation import Settings, evaluate, to_json
from veilflow.components.application.evaluate.scores import OneClassError
from veilflow.components.application.evaluate.threshold import ThresholdRule
from veilflow.components.application.exports import export_bytes
from veilflow.components.application.limits import MIN_GROUP_ROWS
from veilflow.components.devices.attributes import decimal
from veilflow.components.devices.events import receipt
from veilflow.components.devices.pyu import publish, run_on, send_to
from veilflow.components.devices.report import ReportBuilder
from veilflow.components.devices.tables import read_frame
from veilflow.components.errors import ComponentError

log = logging.getLogger("veilflow")


class Threshold(UnionGroup):
    """Where the line between predicted negative and positive is drawn."""

    fixed: float = Field.attr(
        desc="Rows scored at or above this value count as predicted positive.",
        default=0.5,
        bound_limit=Interval.closed(0.0, 1.0),
    )
    youden: str = Field.selection_attr(desc="Maximise true-positive rate minus false-positive rate on these rows.")
    f1: str = Field.selection_attr(desc="Maximise F1 on these rows.")
    quantile: float = Field.attr(
        desc="This share of the rows falls below the line: 0.9 flags the top tenth.",
        default=0.9,
        bound_limit=Interval.closed(0.0, 1.0),
    )


@register(domain="application", version="1.0.0", name="evaluate")
class Evaluate(Component):
    """
    Accuracy, F1, AUC, KS, precision, recall, specificity, Brier score and log loss of scores against a binary label,
    with ROC curve, confusion matrix and calibration curve.
    """

    threshold: Threshold = Field.union_attr(
        desc="How the decision threshold is found. One chosen on the evaluated rows flatters accuracy and F1.",
        default="fixed",
    )
    receivers: list[str] = Field.party_attr(
        desc="Parties that learn the figures; empty means all. With a choice, the report says the row count only and "
        "each receiver gets the figures as a JSON file in its own exports folder.",
        list_limit=Interval.closed(0, None),
    )
    bins: int = Field.attr(
        desc="About how many points the calibration curve has; each describes at least 10 rows.",
        default=10,
        bound_limit=Interval.closed(1, 100),
    )
    score: str = Field.attr(desc="Column with the predicted probabilities.", default="score")
    label: str = Field.attr(desc="Column with the true class, 0 or 1; empty: the table's only label.", default="")
    groups: str = Field.attr(desc="Column whose values split the rows for figures by group; empty: none.", default="")
    scores: Input = Field.input(
        desc="Scores and label of the same rows at one party.", types=[DistDataType.INDIVIDUAL_TABLE]
    )
    report: Output = Field.output(desc="Figures and curves.", types=[DistDataType.REPORT])

    def evaluate(self, ctx: Context) -> None:
        part = VTable.from_distdata(self.scores).get_party(0)
        settings = self._settings(part)
        receivers = self._receivers(ctx)
        withheld = [party for party in ctx.parties if party not in receivers]
        judge = _evaluate_discreetly if withheld else evaluate

        def judge_here(frame: pd.DataFrame) -> dict[str, Any]:
            found = judge(frame, settings)
            if self.groups and all(rows >= MIN_GROUP_ROWS for rows in found["groups"].get("rows", [])):
                receipt(ctx, "minimum_group", rows=MIN_GROUP_ROWS)
            return found

        document = run_on(part.party, judge_here, read_frame(ctx, part))
        if not withheld:
            _write_report(self.report, publish(document), settings)
            return
        _hand_out(ctx, document, receivers, f"{getattr(ctx, 'node', '') or 'evaluate'}.metrics.json")
        receipt(ctx, "figures_to_receivers_only", receivers=receivers, withheld_from=withheld)
        rows = int(publish(run_on(part.party, lambda found: found["metrics"]["rows"], document)))
        report = ReportBuilder("evaluate", "The figures went to chosen parties only.")
        report.values("metrics", {"rows": rows})
        report.values("figures", {"given to": ", ".join(receivers), "withheld from": ", ".join(withheld)})
        report.write(self.report)

    def _receivers(self, ctx: Context) -> list[str]:
        unknown = [party for party in self.receivers or () if party not in ctx.parties]
        if unknown:
            raise ComponentError(
                f"evaluate: receivers name {', '.join(unknown)}, but the parties are {', '.join(ctx.parties)}."
            )
        return [party for party in ctx.parties if not self.receivers or party in self.receivers]

    def _settings(self, part: VTableParty) -> Settings:
        columns = {"score": self.score, "label": self.label or _only_label(part), "groups": self.groups}
        for role, column in columns.items():
            if column and column not in part.columns:
                raise ComponentError(
                    f"evaluate: no {role} column '{column}' at {part.party}; its columns are {', '.join(part.columns)}."
                )
        if columns["score"] == columns["label"]:
            raise ComponentError(f"evaluate: '{columns['label']}' cannot be both score and label; name another column.")
        rule: Any = self.threshold.get_selected()
        value = getattr(self.threshold, rule, None)
        threshold = ThresholdRule(rule, decimal(value)) if isinstance(value, (int, float)) else ThresholdRule(rule)
        return Settings(columns["score"], columns["label"], columns["groups"], threshold, int(self.bins))


def _only_label(part: VTableParty) -> str:
    labels: list[str] = [name for name, kind in part.kinds.items() if kind == VTableFieldKind.LABEL]
    if len(labels) != 1:
        raise ComponentError(
            f"evaluate: the table at {part.party} has {len(labels)} label columns"
            f"{': ' + ', '.join(labels) if labels else ''}; name the one to use in 'label'."
        )
    return labels[0]


def _evaluate_discreetly(frame: pd.DataFrame, settings: Settings) -> dict[str, Any]:
    """`evaluate`, with an error that does not tell every party which class all rows have."""
    try:
        return evaluate(frame, settings)
    except OneClassError as error:
        log.warning("%s", error)
    raise ComponentError(
        f"evaluate: label column '{settings.label}' holds one class only; the counts are in its holder's log. "
        "Evaluate on more rows or split the data with stratification."
    )


def _hand_out(ctx: Context, document: PYUObject, receivers: list[str], name: str) -> None:
    """Each receiver stores the document; nobody goes on before all have."""

    def store(found: dict[str, Any]) -> int:
        return export_bytes(ctx, name, to_json(found))

    publish([run_on(party, store, send_to(party, document)) for party in receivers])


def _write_report(output: Output, document: dict[str, Any], settings: Settings) -> None:
    rule = settings.threshold.rule
    how = "given" if rule == "fixed" else f"chosen by {rule} on these very rows"
    report = ReportBuilder("evaluate", f"Scores in '{settings.score}' against '{settings.label}'.")
    report.values("metrics", document["metrics"], f"Threshold {how}; scores at or above it are predicted positive.")
    report.table("roc", document["roc"], "Points of the ROC curve.")
    report.table("calibration", document["calibration"], "Rows in order of score, in groups of about equal size.")
    report.values("confusion", document["confusion"], "Row counts by true and predicted class.")
    report.table("groups", document["groups"], f"The same figures by '{settings.groups}'.")
    report.write(output)
