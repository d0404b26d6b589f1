"""Scores of new rows at the party that has them, with a model from horizontal/fedavg_train. Nothing leaves the party.

Inputs   ``model``. ``data``: a table or images at a party that holds the model.
Outputs  ``scores``: at that party, in the rows' order: ID columns, ``score``, and the label where there is one.
"""

from typing import Any

import numpy as np
import pandas as pd
from secretflow.component.core import (
    Component,
    Context,
    DistDataType,
    Field,
    Input,
    Output,
    VTable,
    VTableField,
    VTableFieldKind,
    VTableSchema,
    register,
)

from veilflow.components.data.images.bundle import IMAGE_KIND
from veilflow.components.data.names import SCORE, require_free
from veilflow.components.devices.objects import read_object
from veilflow.components.devices.pyu import run_on
from veilflow.components.devices.report import ReportBuilder
from veilflow.components.devices.schemas import names_of_kind
from veilflow.components.devices.tables import write_table
from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg.bundle import MODEL_KIND, Facts
from veilflow.components.horizontal.fedavg.client import logits, make_client, restored
from veilflow.components.horizontal.fedavg.settings import Privacy, Settings
from veilflow.components.horizontal.fedavg_train.component import read_source
from veilflow.components.horizontal.fedavg_train.sources import Source, load
from veilflow.components.training.features import require_columns
from veilflow.components.training.parts import rules_of, section


@register(domain="horizontal", version="1.0.0", name="fedavg_predict")
class FedAvgPredict(Component):
    """Score a party's own rows with its copy of a model from horizontal/fedavg_train."""

    use_rules: bool = Field.attr(
        desc="Apply the preprocessing rules that the model carries; off where the rows are preprocessed already.",
        default=True,
    )
    model: Input = Field.input(desc="The trained model.", types=[MODEL_KIND])
    data: Input = Field.input(desc="Rows to score.", types=[DistDataType.INDIVIDUAL_TABLE, IMAGE_KIND])
    scores: Output = Field.output(desc="Scores at the rows' party.", types=[DistDataType.INDIVIDUAL_TABLE])
    report: Output = Field.output(desc="Row count.", types=[DistDataType.REPORT])

    def evaluate(self, ctx: Context) -> None:
        source = read_source(ctx, self.data)
        public, parts = read_object(ctx, self.model, MODEL_KIND)
        facts, party = Facts.from_json(public), source.party
        if party not in parts:
            raise ComponentError(
                f"the model lies at {', '.join(parts)}; {party} holds no copy to score its rows with. Score rows of "
                f"one of the former, or let {party} take part in the training."
            )
        _require_fit(source, facts)
        rules = _rules(parts[party], party, facts.rules) if self.use_rules else []
        rows = load(source, facts.columns, rules, label=False)
        found = run_on(party, _scorer(facts), parts[party], rows)
        fields, kept = _kept_fields(self.data, source, facts)
        scored = run_on(party, _scored, source.frame, kept, found)
        count = write_table(ctx, self.scores, {party: scored}, {party: VTableSchema(fields)})
        report = ReportBuilder("fedavg_predict", f"Scores in '{SCORE}' at {party}.")
        report.values("metrics", {"rows": count}).write(self.report)


def _require_fit(source: Source, facts: Facts) -> None:
    if bool(source.shape) != (not facts.columns.features) or (source.shape and source.shape != facts.shape):
        seen = "x".join(map(str, source.shape)) or "a table"
        wanted = "a table" if facts.columns.features else "x".join(map(str, facts.shape))
        raise ComponentError(f"the model takes {wanted}, the rows of {source.party} are {seen}. Bring such rows.")
    require_columns(source.party, source.features, facts.columns.features)


def _rules(part: Any, party: str, count: int) -> list[Any]:
    if not count:
        return []
    found = run_on(party, lambda held: [(rule, {}) for rule in rules_of(held)], part, returns=count)
    return found if isinstance(found, list) else [run_on(party, lambda held: held[0], found)]


def _scorer(facts: Facts) -> Any:
    def score(part: Any, rows: Any) -> np.ndarray:
        # Parameters are replaced by the stored ones: what they start from does not matter.
        client = make_client(facts.spec, Settings(privacy=Privacy("none")), None, facts.shape, np.random.default_rng(0))
        found: np.ndarray = logits(restored(client, section(part, "model")), rows[0])
        return found

    return score


def _kept_fields(stored: Any, source: Source, facts: Facts) -> tuple[list[VTableField], dict[str, list[str]]]:
    """Fields of the score table, and which columns go into it, by kind."""
    fields: list[VTableField] = []
    ids: list[str] = []
    label = ["label"] if source.labelled else []
    if not source.shape:
        schema = VTable.from_distdata(stored).get_party(0).schema
        ids = names_of_kind(schema, "id")
        label = [name for name in names_of_kind(schema, "label") if name == facts.columns.label]
        fields = [schema.fields[name] for name in ids]
    require_free([*ids, *label], f"an ID or the label of the table at {source.party}")
    fields.append(VTableField(SCORE, "float64", VTableFieldKind.FEATURE))
    if label and source.shape:
        fields.append(VTableField("label", "int64", VTableFieldKind.LABEL))
    elif label:
        fields.append(schema.fields[label[0]])
    return fields, {"id": ids, "label": label}


def _scored(held: Any, kept: dict[str, list[str]], logit: np.ndarray) -> pd.DataFrame:
    score = 1 / (1 + np.exp(-np.clip(np.asarray(logit, dtype=np.float64), -500, 500)))
    if isinstance(held, pd.DataFrame):
        return held[[*kept["id"], *kept["label"]]].reset_index(drop=True).assign(**{SCORE: score})
    labels = {"label": held[1]["labels"]} if kept["label"] else {}
    return pd.DataFrame({SCORE: score, **labels})
