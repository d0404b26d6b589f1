"""Split learning: bottoms at their owners, the top model, the label and the loss where `release` says.

Inputs   ``table``: features at two or more parties, the label at one of them. ``valid``: rows to watch while training.
         ``rules``: preprocessing rules the model should carry (data/clean, data/scale).
Outputs  ``model``: per party its bottom and its part of the top model, no pickle. ``report``: figures by epoch.
Public   schema, row counts, settings, the order of rows, and by epoch a noised figure (per_example: losses, AUC).
"""
# ruff: noqa: RUF009 - SecretFlow declares nested attributes this way

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from secretflow.component.core import Component, Context, DistDataType, Field, Input, Interval, Output, VTable, register

from veilflow.components.data.rules import RULE_TYPES
from veilflow.components.devices.attributes import decimal
from veilflow.components.devices.events import progress, receipt, sizes
from veilflow.components.devices.objects import read_object, write_object
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.report import ReportBuilder
from veilflow.components.devices.schemas import names_of_kind
from veilflow.components.devices.secret import SecretMachine
from veilflow.components.devices.tables import read_frame
from veilflow.components.errors import ComponentError
from veilflow.components.training.batches import batch_size
from veilflow.components.training.checkpoints import Checkpoints, data_digest, training_key
from veilflow.components.training.features import binary_label, feature_matrix, require_columns, require_numeric
from veilflow.components.training.history import History
from veilflow.components.training.labels import require_number_label
from veilflow.components.training.loop import train
from veilflow.components.training.parts import merge
from veilflow.components.vertical.split.account import Spent, spent
from veilflow.components.vertical.split.bundle import MODEL_KIND, Facts
from veilflow.components.vertical.split.declare import Declaration, declare
from veilflow.components.vertical.split.model import BOTTOM_ACTIVATIONS, TOP_ACTIVATIONS, SplitModel
from veilflow.components.vertical.split.programs import released_length
from veilflow.components.vertical.split.roster import Roster, make_roster
from veilflow.components.vertical.split.settings import (
    BOTTOM_OPTIMISERS,
    DELTA,
    EPSILON,
    FROM_EPSILON,
    RELEASES,
    SUMMED,
    TOP_OPTIMISERS,
    Optimiser,
    Settings,
)
from veilflow.components.vertical.split.support import require_support
from veilflow.components.vertical.split_train.begun import Begun
from veilflow.components.vertical.split_train.epochs import SplitTraining, Validation, course_of, epoch_step
from veilflow.components.vertical.split_train.per_example import PerExampleTraining
from veilflow.components.vertical.split_train.summed import SummedTraining, secret_holders


@dataclass
class Bottom:
    """The part of the model at each party with features; runs there in the clear."""

    layers: list[int] = Field.attr(
        desc="Sizes of its dense layers; the last one is the width of the embedding.", default=[16]
    )
    activation: str = Field.attr(desc="After each of its layers.", default="relu", choices=list(BOTTOM_ACTIVATIONS))
    by_party: list[str] = Field.attr(desc="Exceptions, as party:32-16 or party:32-16:tanh.", default=[])
    module: str = Field.attr(
        desc="A Flax module of your own instead of dense layers, as package.module:Class; needs release: per_example.",
        default="",
    )
    arguments: str = Field.attr(desc="The module's constructor arguments, a JSON object.", default="{}")


@dataclass
class Top:
    """The part of the model over all embeddings; its single output unit follows the hidden layers."""

    layers: list[int] = Field.attr(desc="Sizes of its hidden layers; may be empty.", default=[16])
    activation: str = Field.attr(
        desc="After each hidden layer. quadratic is cheaper than relu inside the SPU.",
        default="relu",
        choices=list(TOP_ACTIVATIONS),
    )


@register(domain="vertical", version="1.0.0", name="split_train")
class SplitTrain(Component):
    """
    Train a binary classifier across parties with split learning. With release: summed (the default) the top model stays
    inside the SPU, and a feature party only ever gets clipped, noised sums over a batch, which tell it no more about a
    single label or row than epsilon says. A small table needs much noise for that: there vertical/secret_train is
    better.
    """

    release: str = Field.attr(
        desc="summed: feature parties get clipped, noised sums over a batch, from the SPU. per_example: they get every "
        "row's gradient, which tells them the labels.",
        default=SUMMED,
        choices=list(RELEASES),
    )
    bottom: Bottom = Field.struct_attr(desc="Bottoms.")
    top: Top = Field.struct_attr(desc="Top model.")
    epochs: int = Field.attr(desc="Passes over the rows.", default=20, bound_limit=Interval.closed(1, 10000))
    batch_size: int = Field.attr(
        desc="Rows per step, about: all batches get one size near this. Noise weighs less in large ones.",
        default=1024,
        bound_limit=Interval.closed(8, 65536),
    )
    minimum_batch: int = Field.attr(
        desc="Smallest batch that is ever released; a sum over few rows says more about each.",
        default=32,
        bound_limit=Interval.closed(8, 65536),
    )
    clip: float = Field.attr(
        desc="summed: L2 bound of how one row's logit may depend on all parameters together.",
        default=2.0,
        bound_limit=Interval.closed(0.1, 100),
    )
    epsilon: float = Field.attr(
        desc="summed: what a whole training may tell about one person's label (differential privacy).",
        default=EPSILON,
        bound_limit=Interval.open(0, 1000),
    )
    delta: float = Field.attr(
        desc="summed: of epsilon; below one over the number of rows.", default=DELTA, bound_limit=Interval.open(0, 0.01)
    )
    noise: float = Field.attr(
        desc="summed: standard deviation, in units of clip, of the noise every data holder adds to a sum. -1: as much "
        "as epsilon asks for. Otherwise this decides, and epsilon is what follows from it. 0: none.",
        default=FROM_EPSILON,
        bound_limit=Interval.closed(-1, 1000),
    )
    optimiser: str = Field.attr(desc="For the bottoms.", default="adam", choices=list(BOTTOM_OPTIMISERS))
    learning_rate: float = Field.attr(desc="For the bottoms.", default=0.01, bound_limit=Interval.open(0, 10))
    top_optimiser: str = Field.attr(desc="For the top model.", default="momentum", choices=list(TOP_OPTIMISERS))
    top_learning_rate: float = Field.attr(desc="For the top model.", default=0.1, bound_limit=Interval.open(0, 10))
    patience: int = Field.attr(
        desc="Stop after so many epochs without a better figure (on valid, if given) and keep the best; 0: never.",
        default=0,
        bound_limit=Interval.closed(0, 10000),
    )
    checkpoint_every: int = Field.attr(
        desc="Epochs between checkpoints; an interrupted training goes on from the last one. 0: none.",
        default=0,
        bound_limit=Interval.closed(0, 10000),
    )
    table: Input = Field.input(desc="Rows to train on.", types=[DistDataType.VERTICAL_TABLE])
    valid: Input = Field.input(desc="Rows to watch.", types=[DistDataType.VERTICAL_TABLE, DistDataType.NULL])
    rules: list[Input] = Field.input(
        desc="Preprocessing rules to store with the model, in the order they were fitted.",
        types=list(RULE_TYPES),
    )
    model: Output = Field.output(desc="The trained model.", types=[MODEL_KIND])
    report: Output = Field.output(desc="Figures by epoch.", types=[DistDataType.REPORT])

    def evaluate(self, ctx: Context) -> None:
        source = VTable.from_distdata(self.table)
        roster = table_roster(source)
        settings, model = self._settings(), declare(self._declaration(), roster)
        settings.check()
        summed = settings.release == SUMMED
        rows, data = read_data(ctx, source, roster, summed)
        size = batch_size(rows, settings.batch, settings.minimum_batch)
        parameters = released_length(secret_holders(roster, model), model.top) if summed else 0
        loudness = settings.check_size(rows, size, len(roster.holders), parameters) if summed else 0.0
        validation = self._validation(ctx, roster)
        _announce(ctx, settings, rows // size, size, validation)
        training: SplitTraining
        if summed:
            machine = SecretMachine(ctx.make_spu())
            training = SummedTraining(machine, roster, model, settings, data, size)
        else:
            training = PerExampleTraining(roster, model, settings, data, size)
        facts = Facts(model, roster, settings.release, settings.to_json(), len(self.rules or []), "")
        key = _training_key(facts, settings, rows)
        folder = self._checkpoint_folder(ctx)
        checkpoints = _checkpoints(folder, key, training, data)
        begun = Begun(folder, key, roster.holders, settings.epochs) if summed and settings.multiplier() else None

        def tell(done: int, figures: Any) -> None:
            progress(ctx, done / settings.epochs, epoch=done, **{k: round(v, 6) for k, v in figures.items()})

        step = epoch_step(training, roster.holders, rows, validation, begun)
        history, identity = train(training, step, course_of(settings, roster.holders), checkpoints, tell)
        self._store(ctx, facts, identity, training)
        if checkpoints is not None:
            checkpoints.clear()
        cost = spent(settings.multiplier(), begun.count, settings.delta) if begun is not None else None
        if begun is not None:
            begun.clear()
        if isinstance(training, SummedTraining):
            _receipts(ctx, settings, roster, training, cost)
        private = _private_words(settings, loudness, cost) if summed else {}
        _write_report(self.report, settings, model, roster, history, {"rows": rows, "batch": size, **private})

    def _settings(self) -> Settings:
        return Settings(
            release=self.release,
            epochs=int(self.epochs),
            batch=int(self.batch_size),
            minimum_batch=int(self.minimum_batch),
            clip=decimal(self.clip),
            noise=decimal(self.noise),
            epsilon=decimal(self.epsilon),
            delta=decimal(self.delta),
            bottom_optimiser=Optimiser(self.optimiser, decimal(self.learning_rate)),
            top_optimiser=Optimiser(self.top_optimiser, decimal(self.top_learning_rate)),
            patience=int(self.patience),
            checkpoint_every=int(self.checkpoint_every),
        )

    def _declaration(self) -> Declaration:
        return Declaration(
            release=self.release,
            layers=tuple(self.bottom.layers),
            activation=self.bottom.activation,
            by_party=tuple(self.bottom.by_party or ()),
            module=self.bottom.module,
            arguments=self.bottom.arguments,
            top_layers=tuple(self.top.layers or ()),
            top_activation=self.top.activation,
        )

    def _validation(self, ctx: Context, roster: Roster) -> Validation | None:
        if self.valid is None:
            return None
        rows, data = read_data(ctx, VTable.from_distdata(self.valid), roster)
        return Validation(data, rows)

    def _checkpoint_folder(self, ctx: Context) -> Path | None:
        folder: Path | None = getattr(ctx, "checkpoint_dir", None)
        return folder if self.checkpoint_every else None

    def _store(self, ctx: Context, facts: Facts, identity: str, training: SplitTraining) -> None:
        sections = training.model_sections()
        rules = [read_object(ctx, stored, stored.type)[1] for stored in self.rules or []]
        _require_owners(rules, facts.roster)
        public = {**facts.to_json(), "identity": identity}
        parts = {}
        for party in sorted({party for held in (*sections.values(), *rules) for party in held}):
            names = [name for name, held in sections.items() if party in held]
            own = [held[party] for held in rules if party in held]
            held = [sections[name][party] for name in names]
            parts[party] = run_on(party, _merger(identity, names), *held, *own)
        write_object(ctx, self.model, MODEL_KIND, parts, public)


def _training_key(facts: Facts, settings: Settings, rows: int) -> str:
    longer: dict[str, float] = {"epochs": 0, "checkpoint_every": 0}  # training on for longer is the same training,
    if settings.release == SUMMED:
        longer["noise"] = settings.multiplier()  # with the same noise
    return training_key({**facts.to_json(), "settings": {**facts.settings, **longer}, "rows": rows})


def _checkpoints(folder: Path | None, key: str, training: SplitTraining, data: dict[str, Any]) -> Checkpoints | None:
    if folder is None:
        return None
    digests = {party: run_on(party, data_digest, pair) for party, pair in data.items()}
    parties = sorted({party for parts in training.state().values() for party in parts})
    return Checkpoints(folder, key, digests, parties)


def table_roster(source: VTable) -> Roster:
    """Who holds what, after checks on the public schema.

    Raises:
        ComponentError: no label or several, features at one party only, or text columns.
    """
    features = {party: names_of_kind(part.schema, "feature") for party, part in source.parties.items()}
    labels = {party: names_of_kind(part.schema, "label") for party, part in source.parties.items()}
    roster = make_roster(features, labels)
    for party, names in roster.features.items():
        require_numeric(party, source.parties[party].types, names)
    require_number_label(roster.label_party, source.parties[roster.label_party].types[roster.label], roster.label)
    return roster


def read_data(ctx: Context, source: VTable, roster: Roster, supported: bool = False) -> tuple[int, dict[str, Any]]:
    """The row count, and per data holder ``(x, label or None)`` at that party.

    Args:
        supported: each holder looks for columns that single people out (`split.support`).

    Raises:
        ComponentError: a column is missing or unfit, or the parties' row counts differ.
    """
    data = {}
    for party in roster.holders:
        features = list(roster.features.get(party, ()))
        label = roster.label if party == roster.label_party else None
        if party not in source.parties:
            raise ComponentError(f"the table has no part at {party}, which holds columns of the model.")
        part = source.parties[party]
        require_columns(party, part.columns, [*features, *([label] if label else [])])
        data[party] = run_on(party, _arrays, read_frame(ctx, part), features, label, supported)
    counts: dict[str, int] = publish(
        {party: run_on(party, lambda pair: len(pair[0]), pair) for party, pair in data.items()}
    )
    if len(set(counts.values())) != 1:
        seen = ", ".join(f"{party} {count}" for party, count in counts.items())
        raise ComponentError(f"the parties' parts of the table differ in rows: {seen}. Align them first.")
    return next(iter(counts.values())), data


def _arrays(
    frame: pd.DataFrame, features: list[str], label: str | None, supported: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    x = feature_matrix(frame, features)
    if supported:
        require_support(x, features)
    return x, None if label is None else binary_label(frame, label)


def _merger(identity: str, names: list[str]) -> Any:
    def make(*parts: Any) -> Any:
        return merge(identity, dict(zip(names, parts[: len(names)], strict=True)), parts[len(names) :])

    return make


def _require_owners(rules: list[dict[str, Any]], roster: Roster) -> None:
    strangers = sorted({party for held in rules for party in held} - set(roster.holders))
    if strangers:
        raise ComponentError(f"a rule belongs to {', '.join(strangers)}, who holds no column of the model.")


def _announce(ctx: Context, settings: Settings, batches: int, size: int, validation: Validation | None) -> None:
    """What the names in the step's `Claims.sends` stand for: how often, and in which shape, values may leave."""
    valid = validation.rows if validation is not None else 0
    steps = settings.epochs * batches
    # per step one gradient a feature party; per epoch a figure of the rows trained on, and one of validation rows
    openings = steps + settings.epochs * (2 if valid else 1)
    sizes(ctx, batch=size, steps=steps, epochs=settings.epochs, valid_rows=valid, openings=openings)


def _receipts(ctx: Context, settings: Settings, roster: Roster, training: SummedTraining, cost: Spent | None) -> None:
    """What happened at this party, in this attempt (a resumed training counts from its checkpoint on).

    Clipping is part of the release program, which every party ran on its shares and compared with the others by hash.
    ``cost`` is of all attempts.
    """
    tally, deviation = training.tally, settings.multiplier() * settings.clip
    if tally.steps == 0 or tally.smallest >= settings.minimum_batch:
        receipt(ctx, "minimum_batch", rows=tally.smallest, minimum=settings.minimum_batch)
    receipt(ctx, "clip", bound=settings.clip, norm="L2, per row, bottoms and top together", batches=tally.steps)
    if cost is not None and tally.drew(deviation, training.owes(ctx.self_party)):
        drawn = {"drawn_here": tally.vectors, "added_by": list(roster.holders)}
        receipt(ctx, "noise", distribution="Gaussian", deviation=deviation, **drawn)
        limit = settings.spent()
        if cost.label <= limit.label * (1 + 1e-9):
            told = {"told_label": cost.label, "told_record": cost.record, "delta": cost.delta}
            receipt(ctx, "epsilon", label=limit.label, record=limit.record, **told)


def _private_words(settings: Settings, loudness: float, cost: Spent | None) -> dict[str, Any]:
    """Metrics of the report: what the training may have told, and how loud the noise was for that."""
    if cost is None:
        return {"noise": 0.0}
    said = {"epsilon_label": cost.label, "epsilon_record": cost.record, "delta": cost.delta}
    return {"noise": settings.multiplier(), **said, "noise_to_gradient": loudness}


def _write_report(
    output: Output,
    settings: Settings,
    model: SplitModel,
    roster: Roster,
    history: History,
    figures: dict[str, Any],
) -> None:
    report = ReportBuilder("split_train", f"Split learning, release {settings.release}.")
    chosen = history.rows[history.best if settings.patience else -1]
    report.values("metrics", {**chosen, "epochs": len(history.rows), **figures})
    report.table("history", history.columns(), "Figures by epoch: of the rows trained on, and of validation rows.")
    shapes = {party: _in_words(each) for party, each in model.to_json()["bottoms"].items()}
    report.values(
        "model",
        {**shapes, "top": _in_words(model.to_json()["top"]), "label": f"{roster.label} at {roster.label_party}"},
    )
    report.write(output)


def _in_words(part: dict[str, Any]) -> str:
    if "path" in part:
        return str(part["path"])
    return f"{'-'.join(map(str, part['layers'])) or 'no hidden layer'}, {part['activation']}"
