"""Scores of new rows with a stored split model, at one party.

Inputs   ``model``: from vertical/split_train. ``data``: new rows, features where they were in training.
Outputs  ``scores``: at the receiver, in the rows' order: its ID columns, ``score``, and the label where it holds one.
Public   schema, row count.
Opened   the logits, to the receiver (for release: per_example to the label's holder first, who owns the top model).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from secretflow.component.core import (
    Component,
    Context,
    DistDataType,
    Field,
    Input,
    Interval,
    Output,
    VTable,
    VTableField,
    VTableFieldKind,
    VTableSchema,
    register,
)

from veilflow.components.data.apply import apply_rules
from veilflow.components.data.names import SCORE, require_free
from veilflow.components.devices.events import receipt, sizes
from veilflow.components.devices.objects import read_object
from veilflow.components.devices.pyu import publish, run_on, send_to
from veilflow.components.devices.report import ReportBuilder
from veilflow.components.devices.schemas import names_of_kind
from veilflow.components.devices.secret import SecretMachine
from veilflow.components.devices.tables import read_frame, write_table
from veilflow.components.errors import ComponentError
from veilflow.components.training.features import feature_matrix, require_columns, require_numeric
from veilflow.components.training.parts import Part, rules_of, section
from veilflow.components.vertical.split import clear
from veilflow.components.vertical.split.bundle import MODEL_KIND, Facts
from veilflow.components.vertical.split.owner import embed, stored_params
from veilflow.components.vertical.split.settings import SUMMED
from veilflow.components.vertical.split_train.per_example import matrix
from veilflow.components.vertical.split_train.summed import SCORE_ROWS, secret_logits


@register(domain="vertical", version="1.0.0", name="split_predict")
class SplitPredict(Component):
    """Score new rows with a model from vertical/split_train; one party learns the scores."""

    receiver: str = Field.party_attr(
        desc="Who learns the scores; empty: the label's holder in training.", list_limit=Interval.closed(0, 1)
    )
    use_rules: bool = Field.attr(
        desc="Apply the preprocessing rules that the model carries; off where the rows are preprocessed already.",
        default=True,
    )
    model: Input = Field.input(desc="The trained model.", types=[MODEL_KIND])
    data: Input = Field.input(desc="Rows to score.", types=[DistDataType.VERTICAL_TABLE])
    scores: Output = Field.output(desc="Scores at the receiver.", types=[DistDataType.INDIVIDUAL_TABLE])
    report: Output = Field.output(desc="Row count.", types=[DistDataType.REPORT])

    def evaluate(self, ctx: Context) -> None:
        public, parts = read_object(ctx, self.model, MODEL_KIND)
        facts = Facts.from_json(public)
        _require_one_model(facts, parts)
        source = VTable.from_distdata(self.data)
        receiver = _receiver(ctx, self.receiver, facts)
        frames = {party: read_frame(ctx, part) for party, part in source.parties.items()}
        features = self._features(facts, source, frames, parts)
        rows = _agreed_rows(features)
        score = _secret_scores if facts.release == SUMMED else _clear_scores
        logits = score(ctx, facts, parts, features, rows, receiver)
        self._write(ctx, source, facts, frames.get(receiver), receiver, logits)
        receipt(ctx, "scores_to_one_party", receiver=receiver)
        report = ReportBuilder("split_predict", f"Scores in '{SCORE}' at {receiver}.")
        report.values("metrics", {"rows": rows}).write(self.report)

    def _features(
        self, facts: Facts, source: VTable, frames: Mapping[str, Any], parts: Mapping[str, Any]
    ) -> dict[str, Any]:
        found = {}
        for party, names in facts.roster.features.items():
            if party not in source.parties:
                raise ComponentError(f"the model has features at {party}, where the table has no part.")
            here = source.parties[party]
            require_columns(party, here.columns, names)
            treat = bool(self.use_rules) and facts.rules > 0
            if not treat:
                require_numeric(party, here.types, names)
            found[party] = run_on(party, _matrix, frames[party], parts[party], list(names), treat)
        return found

    def _write(self, ctx: Context, source: VTable, facts: Facts, frame: Any, receiver: str, logits: Any) -> None:
        fields: list[VTableField] = []
        label = ""
        if receiver in source.parties:
            schema = source.schemas[receiver]
            fields = [schema.fields[name] for name in names_of_kind(schema, "id")]
            label = facts.roster.label if facts.roster.label in names_of_kind(schema, "label") else ""
        kept = [field.name for field in fields]
        require_free([*kept, label], f"an ID or the label of the table at {receiver}")
        fields.append(VTableField(SCORE, "float64", VTableFieldKind.FEATURE))
        if label:
            fields.append(source.schemas[receiver].fields[label])
        columns = [*kept, *([label] if label else [])]
        scored = run_on(receiver, _scored, frame, columns, logits)
        write_table(ctx, self.scores, {receiver: scored}, {receiver: VTableSchema(fields)})


def _receiver(ctx: Context, wanted: str | list[str] | None, facts: Facts) -> str:
    party = wanted[0] if isinstance(wanted, list) and wanted else wanted
    receiver = str(party or facts.roster.label_party)
    if receiver not in ctx.parties:
        raise ComponentError(f"receiver is {receiver}, but the parties are {', '.join(ctx.parties)}.")
    return receiver


def _require_one_model(facts: Facts, parts: Mapping[str, Any]) -> None:
    """All parties must have brought parts of the same training run."""
    found = publish({party: run_on(party, lambda part: part[0]["identity"], part) for party, part in parts.items()})
    other = [party for party, identity in found.items() if identity != facts.identity]
    if other:
        raise ComponentError(f"the parts of the model at {', '.join(other)} come from another training run.")


def _matrix(frame: pd.DataFrame, part: Part, names: list[str], treat: bool) -> np.ndarray:
    if treat:
        frame = apply_rules(frame, rules_of(part))
        require_columns("this party after preprocessing", list(frame.columns), names)
    return feature_matrix(frame, names)


def _agreed_rows(features: Mapping[str, Any]) -> int:
    counts: dict[str, int] = publish({party: run_on(party, len, x) for party, x in features.items()})
    if len(set(counts.values())) != 1:
        seen = ", ".join(f"{party} {count}" for party, count in counts.items())
        raise ComponentError(f"the parties' parts of the table differ in rows: {seen}. Align them first.")
    rows = next(iter(counts.values()))
    if rows == 0:
        raise ComponentError("the table has no rows to score.")
    return rows


def _secret_scores(
    ctx: Context, facts: Facts, parts: Mapping[str, Any], features: Mapping[str, Any], rows: int, receiver: str
) -> Any:
    machine = SecretMachine(ctx.make_spu())
    missing = [party for party in machine.parties if party not in parts]
    if missing:
        raise ComponentError(
            f"the top model is shared among {', '.join(parts)}, but the SPU has {', '.join(missing)}; "
            "use an SPU with the parties of the training."
        )
    sizes(ctx, rows=rows, openings=-(-rows // min(rows, SCORE_ROWS)))
    machine.load({party: run_on(party, section, parts[party], "top") for party in machine.parties})
    params = {party: _params(facts, party, parts[party]) for party in features}
    return secret_logits(machine, facts.model, params, features, rows, receiver)


def _clear_scores(
    ctx: Context, facts: Facts, parts: Mapping[str, Any], features: Mapping[str, Any], rows: int, receiver: str
) -> Any:
    sizes(ctx, rows=rows, openings=0)
    keeper, spec = facts.roster.label_party, facts.model.top
    sent = []
    for party, x in features.items():
        bottom = facts.model.bottoms[party]
        here = run_on(party, _embedder(bottom), _params(facts, party, parts[party]), x)
        sent.append(send_to(keeper, here, "embedding"))

    def score(part: Part, *embeddings: np.ndarray) -> np.ndarray:
        _, arrays = section(part, "top")
        return matrix(clear.logits(arrays["top"], spec, embeddings))

    return send_to(receiver, run_on(keeper, score, parts[keeper], *sent), "score")


def _embedder(bottom: Any) -> Any:
    def here(params: Any, x: np.ndarray) -> np.ndarray:
        return matrix(embed(bottom, params, x))

    return here


def _params(facts: Facts, party: str, part: Any) -> Any:
    bottom = facts.model.bottoms[party]
    return run_on(party, lambda held: stored_params(bottom, section(held, "bottom")), part)


def _scored(frame: pd.DataFrame | None, columns: list[str], logits: np.ndarray) -> pd.DataFrame:
    scores = 1 / (1 + np.exp(-np.clip(np.asarray(logits, dtype=np.float64), -500, 500)))
    kept = frame[columns].reset_index(drop=True) if frame is not None else pd.DataFrame(index=range(len(scores)))
    return kept.assign(**{SCORE: scores})
