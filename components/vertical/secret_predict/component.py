"""Scores from a secretly trained model, computed inside the SPU, at one party.

Inputs   ``model``: from vertical/secret_train, as shares. ``data``: a secret table, or an aligned vertical table.
Outputs  ``scores``: at the receiver. For a vertical table in the rows' order, with the receiver's ID columns and, where
         it holds it, the label. For a secret table in the table's order: nobody knows whose rows they are. Of an
         anonymous table only rows that are people for certain are scored, and never padding.
Public   schema, row count.
Opened   the logits, to the receiver; with `with_label` the labels of a secret table, too. A score is a function of all
         holders' features: a receiver who also has the model in the clear learns a weighted sum of the others' columns.
         For how good a model is, `test_fraction` in secret_train opens means only.
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

from veilflow.components.data.names import SCORE, require_free
from veilflow.components.devices.events import receipt, sizes
from veilflow.components.devices.objects import read_object
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.report import ReportBuilder
from veilflow.components.devices.schemas import names_of_kind
from veilflow.components.devices.secret import SecretMachine
from veilflow.components.devices.secret_table import LABEL, SECRET_TABLE_KIND, SpuFacts, read_secret_table
from veilflow.components.devices.tables import read_frame, write_table
from veilflow.components.errors import ComponentError
from veilflow.components.training.features import feature_matrix, require_columns, require_numeric
from veilflow.components.training.parts import section
from veilflow.components.vertical.secret.bundle import MODEL_KIND, Facts
from veilflow.components.vertical.secret.opening import MINIMUM_ROWS, PADDING_IS_NOT_SCORED
from veilflow.components.vertical.secret.rows import CHUNK, split_positions
from veilflow.components.vertical.secret_predict.scoring import score_secret, score_shared

ALL_ROWS, HELD_OUT = "all", "held_out"


@register(domain="vertical", version="1.0.0", name="secret_predict")
class SecretPredict(Component):
    """Score rows inside the SPU with a model from vertical/secret_train; one party learns the scores."""

    receiver: str = Field.party_attr(
        desc="Who learns the scores; empty: the label's holder in training.", list_limit=Interval.closed(0, 1)
    )
    rows: str = Field.attr(
        desc="Of the secret table the model was trained on: all its rows, or those held_out by test_fraction.",
        default=ALL_ROWS,
        choices=[ALL_ROWS, HELD_OUT],
    )
    with_label: bool = Field.attr(
        desc="Open the label of every scored row of a secret table to the receiver, too.", default=False
    )
    model: Input = Field.input(desc="The trained model.", types=[MODEL_KIND])
    data: Input = Field.input(desc="Rows to score.", types=[SECRET_TABLE_KIND, DistDataType.VERTICAL_TABLE])
    scores: Output = Field.output(desc="Scores at the receiver.", types=[DistDataType.INDIVIDUAL_TABLE])
    report: Output = Field.output(desc="Row count.", types=[DistDataType.REPORT])

    def evaluate(self, ctx: Context) -> None:
        public, parts = read_object(ctx, self.model, MODEL_KIND)
        facts = Facts.from_json(public)
        _require_one_model(facts, parts)
        receiver = _receiver(ctx, self.receiver, facts)
        machine = SecretMachine(ctx.make_spu())
        missing = [party for party in machine.parties if party not in parts]
        if missing:
            raise ComponentError(
                f"the model is shared among {', '.join(parts)}, but the SPU has {', '.join(missing)}; "
                "use the SPU of the training."
            )
        machine.load({party: run_on(party, section, parts[party], "secret") for party in machine.parties})
        if str(self.data.type) == SECRET_TABLE_KIND:
            rows = self._secret(ctx, machine, facts, receiver)
        else:
            rows = self._plain(ctx, machine, facts, receiver)
        receipt(ctx, "scores_to_one_party", receiver=receiver)
        report = ReportBuilder("secret_predict", f"Scores in '{SCORE}' at {receiver}.")
        report.values("metrics", {"rows": rows}).write(self.report)

    def _secret(self, ctx: Context, machine: SecretMachine, facts: Facts, receiver: str) -> int:
        table, parts = read_secret_table(ctx, self.data, SpuFacts.of(machine))
        where = {(column.owner, column.name): index for index, column in enumerate(table.columns)}
        lacking = [f"{name} of {owner}" for owner, name in facts.features if (owner, name) not in where]
        if lacking:
            raise ComponentError(f"the model was trained on {', '.join(lacking)}, which the secret table lacks.")
        positions = np.arange(table.rows)
        if self.rows == HELD_OUT:
            if table.identity != facts.table:
                raise ComponentError("rows: held_out needs the very table that the model was trained on.")
            _, positions = split_positions(facts.split, table.rows, float(facts.settings["test_fraction"]))
        if table.anonymous:
            positions = positions[positions < table.certain]
            if not table.certain:
                raise ComponentError(PADDING_IS_NOT_SCORED)
            if 0 < len(positions) < MINIMUM_ROWS:  # whoever judges them would open figures over so few
                raise ComponentError(
                    f"{len(positions)} of the rows to score are people for certain; fewer than {MINIMUM_ROWS} of an "
                    "anonymous table are not opened. Score all rows, or raise test_fraction in training."
                )
        if not len(positions):
            raise ComponentError("there are no rows to score; was test_fraction 0 in training?")
        labels = table.positions(LABEL)
        if self.with_label and len(labels) != 1:
            raise ComponentError("with_label needs one label column in the secret table.")
        label = labels[0] if self.with_label else None
        if label is not None:
            require_free([table.columns[label].name], "the label of the secret table")
        features = tuple(where[column] for column in facts.features)
        sizes(ctx, openings=-(-len(positions) // min(CHUNK, len(positions))))
        found = score_secret(machine, facts, parts, features, label, positions, receiver)
        fields = [VTableField(SCORE, "float64", VTableFieldKind.FEATURE)]
        if label is not None:
            fields.append(VTableField(table.columns[label].name, "int64", VTableFieldKind.LABEL))
        name = table.columns[label].name if label is not None else ""
        frame = run_on(receiver, _secret_frame, found, name)
        return write_table(ctx, self.scores, {receiver: frame}, {receiver: VTableSchema(fields)})

    def _plain(self, ctx: Context, machine: SecretMachine, facts: Facts, receiver: str) -> int:
        source = VTable.from_distdata(self.data)
        if self.with_label or self.rows != ALL_ROWS:
            raise ComponentError("with_label and rows: held_out are for secret tables; leave them out here.")
        frames = {party: read_frame(ctx, part) for party, part in source.parties.items()}
        features = {}
        for owner in dict.fromkeys(owner for owner, _ in facts.features):
            names = [name for who, name in facts.features if who == owner]
            if owner not in source.parties:
                raise ComponentError(f"the model has features of {owner}, where the table has no part.")
            require_columns(owner, source.parties[owner].columns, names)
            require_numeric(owner, source.parties[owner].types, names)
            features[owner] = run_on(owner, feature_matrix, frames[owner], names)
        rows = _agreed_rows(features)
        sizes(ctx, openings=-(-rows // min(rows, CHUNK)))
        logits = score_shared(machine, facts, features, rows, receiver)
        fields, label = _own_fields(source, facts, receiver)
        columns = [field.name for field in fields]
        fields.append(VTableField(SCORE, "float64", VTableFieldKind.FEATURE))
        if label:
            fields.append(source.schemas[receiver].fields[label])
        scored = run_on(receiver, _plain_frame, frames.get(receiver), [*columns, *([label] if label else [])], logits)
        return write_table(ctx, self.scores, {receiver: scored}, {receiver: VTableSchema(fields)})


def _own_fields(source: VTable, facts: Facts, receiver: str) -> tuple[list[VTableField], str]:
    """The receiver's ID columns and, where it holds it, the label."""
    if receiver not in source.parties:
        return [], ""
    schema = source.schemas[receiver]
    fields = [schema.fields[name] for name in names_of_kind(schema, "id")]
    label = facts.label[1] if facts.label[1] in names_of_kind(schema, "label") else ""
    require_free([*(field.name for field in fields), label], f"an ID or the label of the table at {receiver}")
    return fields, label


def _receiver(ctx: Context, wanted: str | list[str] | None, facts: Facts) -> str:
    party = wanted[0] if isinstance(wanted, list) and wanted else wanted
    receiver = str(party or facts.label[0])
    if receiver not in ctx.parties:
        raise ComponentError(f"receiver is {receiver}, but the parties are {', '.join(ctx.parties)}.")
    return receiver


def _require_one_model(facts: Facts, parts: Mapping[str, Any]) -> None:
    """All parties must have brought parts of the same training run."""
    found = publish({party: run_on(party, lambda part: part[0]["identity"], part) for party, part in parts.items()})
    other = [party for party, identity in found.items() if identity != facts.identity]
    if other:
        raise ComponentError(f"the parts of the model at {', '.join(other)} come from another training run.")


def _agreed_rows(features: Mapping[str, Any]) -> int:
    counts: dict[str, int] = publish({party: run_on(party, len, x) for party, x in features.items()})
    if len(set(counts.values())) != 1:
        seen = ", ".join(f"{party} {count}" for party, count in counts.items())
        raise ComponentError(f"the parties' parts of the table differ in rows: {seen}. Align them first.")
    rows = next(iter(counts.values()))
    if rows == 0:
        raise ComponentError("the table has no rows to score.")
    return rows


def _probability(logits: np.ndarray) -> np.ndarray:
    found: np.ndarray = 1 / (1 + np.exp(-np.clip(np.asarray(logits, np.float64), -500, 500)))
    return found


def _secret_frame(found: Mapping[str, np.ndarray], label: str) -> pd.DataFrame:
    frame = pd.DataFrame({SCORE: _probability(found["scores"])})
    return frame.assign(**{label: np.rint(found["labels"]).astype(np.int64)}) if label else frame


def _plain_frame(frame: pd.DataFrame | None, columns: list[str], logits: np.ndarray) -> pd.DataFrame:
    scores = _probability(logits)
    kept = frame[columns].reset_index(drop=True) if frame is not None else pd.DataFrame(index=range(len(scores)))
    return kept.assign(**{SCORE: scores})
