"""Train a classifier on rows that nobody sees: everything runs inside the SPU, from the shares of a secret table.

Inputs   ``table``: shares of features and one label, with or without weight and mask columns (masked rows weigh 0).
Outputs  ``model``: shares at the SPU's parties, and the parameters in the clear where `open_to` says; no pickle.
         ``report``: figures by epoch.
Public   column names, the table's length, settings, and which positions make up a batch (nobody knows whose they are).
Opened   losses, accuracies and the AUC of rows held out, to `metrics_to` (default: everybody), by the rule of
         `secret.opening`: never over fewer than 32 people, and noised where people are secret; whether numbers are
         plausible, to everybody. The model, to `open_to` (default: nobody).
"""

import secrets
from fractions import Fraction
from typing import Any

import numpy as np
from secretflow.component.core import Component, Context, DistDataType, Field, Input, Interval, Output, register

from veilflow.components.devices.attributes import decimal
from veilflow.components.devices.events import progress, receipt, sizes
from veilflow.components.devices.figure_account import charge_figures
from veilflow.components.devices.objects import write_object
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.report import ReportBuilder
from veilflow.components.devices.secret import SecretMachine
from veilflow.components.devices.secret_table import MASK, SECRET_TABLE_KIND, SecretTable, SpuFacts, read_secret_table
from veilflow.components.errors import ComponentError
from veilflow.components.training.batches import batch_size, epoch_order, order_token
from veilflow.components.training.parts import merge
from veilflow.components.vertical.secret.bundle import MODEL_KIND, Facts
from veilflow.components.vertical.secret.declare import declare, is_logistic
from veilflow.components.vertical.secret.network import make_network
from veilflow.components.vertical.secret.opening import (
    DEFAULT_EPSILON,
    LIFETIME_EPSILON,
    MINIMUM_CLASS,
    MINIMUM_ROWS,
    OPENED_MODEL_TELLS,
)
from veilflow.components.vertical.secret.optimiser import Rule
from veilflow.components.vertical.secret.rows import split_positions, split_seed
from veilflow.components.vertical.secret.settings import AUTO, OPTIMISERS, SIGMOIDS, Settings
from veilflow.components.vertical.secret_train.figures import TEST, TRAIN, Figures
from veilflow.components.vertical.secret_train.training import SecretTraining, features_of, label_of
from veilflow.components.vertical.split.model import TOP_ACTIVATIONS

WATCHED_ROWS = 8192
"""Rows trained on whose loss is looked at; a random sample, so an estimate."""

TEST_ROWS = 32768
"""At most so many held-out rows are evaluated: the ROC curve costs up to 96 secret comparisons a row."""


@register(domain="vertical", version="1.0.0", name="secret_train")
class SecretTrain(Component):
    """
    Train a binary classifier (logistic regression, dense network or your own Flax module) entirely inside the SPU on a
    secret table, such as an anonymous alignment makes. No party sees a row, a gradient or, unless named, the model.
    """

    layers: list[int] = Field.attr(desc="Sizes of the hidden layers; none: logistic regression.", default=[])
    activation: str = Field.attr(
        desc="After each hidden layer. quadratic is cheaper than relu inside the SPU.",
        default="relu",
        choices=list(TOP_ACTIVATIONS),
    )
    module: str = Field.attr(
        desc="A Flax module of your own instead of layers, as package.module:Class, with one output per row. It runs "
        "inside the SPU: keep to products, sums and relu.",
        default="",
    )
    arguments: str = Field.attr(desc="The module's constructor arguments, a JSON object.", default="{}")
    epochs: int = Field.attr(desc="Passes over the rows.", default=10, bound_limit=Interval.closed(1, 10000))
    batch_size: int = Field.attr(
        desc="Rows per step, about: all batches get one size near this.",
        default=512,
        bound_limit=Interval.closed(8, 65536),
    )
    optimiser: str = Field.attr(desc="As in optax.", default="sgd", choices=list(OPTIMISERS))
    learning_rate: float = Field.attr(desc="Of the mean gradient.", default=0.3, bound_limit=Interval.open(0, 100))
    clip: float = Field.attr(
        desc="Bound of the L2 norm of a batch's mean gradient, against overflow; 0: none. A logistic regression is not "
        "clipped: its gradient is bounded by the rows.",
        default=1.0,
        bound_limit=Interval.closed(0, 100),
    )
    sigmoid: str = Field.attr(
        desc="dealt takes 2 rounds instead of 33 and is right for logits within 56 (ABY3 only); exact is right "
        "everywhere; auto: dealt for a logistic regression under ABY3, else exact.",
        default=AUTO,
        choices=list(SIGMOIDS),
    )
    test_fraction: float = Field.attr(
        desc="Share of the rows kept out of training and evaluated at the end, drawn by position.",
        default=0.0,
        bound_limit=Interval.closed(0, 0.9),
    )
    evaluate_every: int = Field.attr(
        desc="Epochs between estimates of the training loss; 0: only after the last. Where people are secret, every "
        "estimate takes its part of epsilon.",
        default=0,
        bound_limit=Interval.closed(0, 10000),
    )
    epsilon: float = Field.attr(
        desc="Where people are secret (after an anonymous alignment, or with weights or a mask): privacy loss of all "
        "figures of this step together, for one person more or less; twice that for another one in its place. "
        "Elsewhere figures are exact.",
        default=DEFAULT_EPSILON,
        bound_limit=Interval.closed(0.01, 100),
    )
    lifetime_epsilon: float = Field.attr(
        desc="Noised figures that one party was ever told about a holder's people may cost so much in all; what was "
        "told stands in the holder's run ledger. In a simulation more is told, and ends nothing. 0: no limit.",
        default=LIFETIME_EPSILON,
        bound_limit=Interval.closed(0, 10000),
    )
    metrics_to: str = Field.party_attr(
        desc="The only party that learns losses and metrics; empty: everybody.", list_limit=Interval.closed(0, 1)
    )
    open_to: list[str] = Field.party_attr(
        desc="Parties that get the model's parameters in the clear; none: it stays shares, and secret_predict uses it.",
        list_limit=Interval.closed(0, None),
    )
    table: Input = Field.input(desc="Secret rows to train on.", types=[SECRET_TABLE_KIND])
    model: Output = Field.output(desc="The trained model.", types=[MODEL_KIND])
    report: Output = Field.output(desc="Figures by epoch.", types=[DistDataType.REPORT])

    def evaluate(self, ctx: Context) -> None:
        spec = declare(list(self.layers or []), self.activation, self.module, self.arguments)
        settings = self._settings(0.0 if is_logistic(spec) else decimal(self.clip))
        settings.check()
        watching = _one(self.metrics_to)
        opened_to = tuple(self.open_to or ())
        _require_parties(ctx, [watching, *opened_to])
        machine = SecretMachine(ctx.make_spu())
        table, parts = read_secret_table(ctx, self.table, SpuFacts.of(machine))
        features, label = [table.columns[i] for i in features_of(table)], table.columns[label_of(table)]
        tokens = publish([run_on(party, order_token) for party in machine.parties])
        seed = split_seed(tokens)
        train, test = split_positions(seed, table.rows, settings.test_fraction)
        settings.check_rows(len(train), len(test))
        if not table.opened_exactly:
            _require_kept(settings, table, opened_to)
        size = batch_size(len(train), settings.batch, 8)
        settings.check(size)
        network = make_network(spec, len(features))
        rule = Rule(settings.optimiser, settings.rate, settings.clip)
        dealt = settings.deals(is_logistic(spec), machine.dealt_sigmoid)
        told = [] if table.opened_exactly else self._charge(ctx, settings, table)
        sizes(ctx, openings=settings.figures.evaluations + _OTHER_OPENINGS)
        figures = Figures(machine, table, parts, network, watching, settings.figures, dealt)
        watched, judged = figures.counted(train)[:WATCHED_ROWS], figures.counted(test)[:TEST_ROWS]
        figures.require_enough(TRAIN, watched)
        if len(test):
            figures.require_enough(TEST, judged)
        training = SecretTraining(machine, table, parts, network, rule, size, dealt)
        self._train(ctx, training, figures, settings, train, watched)
        if len(test):
            figures.add(TEST, settings.epochs, judged)
        identity: str = publish(run_on(machine.parties[0], secrets.token_hex, 16))
        columns = tuple((column.owner, column.name) for column in features)
        facts = Facts(
            spec, columns, (label.owner, label.name), settings.to_json(), opened_to, table.identity, seed, identity
        )
        self._store(ctx, facts, training, figures)
        _receipts(ctx, settings, training, opened_to, figures, decimal(self.lifetime_epsilon))
        self._write_report(facts, figures, table, (len(train), len(test), size), told)

    def _charge(self, ctx: Context, settings: Settings, table: SecretTable) -> list[str]:
        """Enter what the figures will cost in every holder's ledger, before anything is opened.

        Whoever sees figures, all are told whether people are enough and numbers plausible, which follows from the same
        noised counts; so all are charged.
        """
        holders = list(dict.fromkeys(column.owner for column in table.columns if column.owner))
        limit = Fraction(decimal(self.lifetime_epsilon)).limit_denominator(1_000_000)
        return charge_figures(ctx, holders, ctx.parties, settings.figures.whole, limit)

    def _train(
        self,
        ctx: Context,
        training: SecretTraining,
        figures: Figures,
        settings: Settings,
        train: np.ndarray,
        watched: np.ndarray,
    ) -> None:
        for epoch in range(1, settings.epochs + 1):
            tokens = publish([run_on(party, order_token) for party in training.parties])
            order = train[epoch_order(tokens, len(train))]
            training.epoch(order)
            every = settings.evaluate_every
            if epoch == settings.epochs or (every and epoch % every == 0):
                seen = figures.add(TRAIN, epoch, watched)
                progress(ctx, epoch / settings.epochs, epoch=epoch, **seen)

    def _settings(self, clip: float) -> Settings:
        return Settings(
            epochs=int(self.epochs),
            batch=int(self.batch_size),
            optimiser=self.optimiser,
            rate=decimal(self.learning_rate),
            clip=clip,
            test_fraction=decimal(self.test_fraction),
            evaluate_every=int(self.evaluate_every),
            epsilon=decimal(self.epsilon),
            sigmoid=self.sigmoid or AUTO,
        )

    def _store(self, ctx: Context, facts: Facts, training: SecretTraining, figures: Figures) -> None:
        sections: dict[str, dict[str, Any]] = {party: {"secret": part} for party, part in training.model().items()}
        for party in facts.opened_to:
            opened = run_on(party, lambda flat: ({}, {"model": flat}), training.open_model(party))
            sections.setdefault(party, {})["open"] = opened
        if figures.receiver and figures.kept:
            sections.setdefault(figures.receiver, {})["figures"] = figures.document()
        parts = {}
        for party, held in sections.items():
            names = list(held)
            parts[party] = run_on(party, _merger(facts.identity, names), *held.values())
        write_object(ctx, self.model, MODEL_KIND, parts, facts.to_json())

    def _write_report(
        self, facts: Facts, figures: Figures, table: SecretTable, rows: tuple[int, int, int], broken: list[str]
    ) -> None:
        train, test, size = rows
        report = ReportBuilder("secret_train", "Training inside the SPU.")
        report.values("metrics", {**figures.last, "epochs": int(self.epochs), "rows": train, "batch": size})
        report.table("history", figures.columns(), "Estimates from a random sample of the rows trained on.")
        told: dict[str, int | str] = {
            "network": _in_words(facts),
            "features": len(facts.features),
            "label": f"{facts.label[1]} at {facts.label[0]}",
            "rows held out": test,
            "weighted rows": "yes" if table.names("mask") or table.names("weight") else "no",
            "model opened to": ", ".join(facts.opened_to) or "nobody",
            "figures for": figures.receiver or "everybody",
            "figures are": f"noised, epsilon {decimal(self.epsilon):g} per person" if figures.noised else "exact means",
        }
        report.values("model", told)
        if broken:
            report.table("ledger", {"broken": broken}, "Told in this simulation; these would end a production run.")
        report.write(self.report)


_OTHER_OPENINGS = 8
"""Besides evaluations of rows trained on: two verdicts, two counts per class, the test's figures and AUC, the model."""


def _require_kept(settings: Settings, table: SecretTable, opened_to: tuple[str, ...]) -> None:
    """What `check` refuses already, for those who come without a pipeline file."""
    hidden_count = bool(table.positions(MASK))
    settings.figures.check(hidden_count)
    if hidden_count and table.anonymous and opened_to:
        raise ComponentError(OPENED_MODEL_TELLS)


def _merger(identity: str, names: list[str]) -> Any:
    return lambda *parts: merge(identity, dict(zip(names, parts, strict=True)), [])


def _receipts(
    ctx: Context,
    settings: Settings,
    training: SecretTraining,
    opened_to: tuple[str, ...],
    figures: Figures,
    lifetime: float,
) -> None:
    if settings.clip:
        receipt(ctx, "clip", bound=settings.clip, norm="L2, of the mean gradient")
    if training.weighted:
        receipt(ctx, "weights_masked", mean=1.0)
    # What was compared is people, inside the SPU: a number of positions says nothing where some are padding.
    receipt(ctx, "minimum_rows", people=MINIMUM_ROWS, per_class=MINIMUM_CLASS)
    if figures.noised:
        noise = {"epsilon": settings.epsilon, "evaluations": settings.figures.evaluations}
        receipt(ctx, "figure_noise", **noise, lifetime_epsilon=lifetime)
    receipt(ctx, "stays_shares", opened_to=list(opened_to), metrics_to=figures.receiver or "everybody")


def _require_parties(ctx: Context, named: list[str]) -> None:
    strangers = sorted({party for party in named if party and party not in ctx.parties})
    if strangers:
        raise ComponentError(f"{', '.join(strangers)} takes no part; the parties are {', '.join(ctx.parties)}.")


def _one(wanted: str | list[str] | None) -> str:
    return str(wanted[0] if isinstance(wanted, list) and wanted else wanted or "")


def _in_words(facts: Facts) -> str:
    spec = facts.spec
    if is_logistic(spec):
        return "logistic regression"
    return getattr(spec, "path", None) or f"{'-'.join(map(str, spec.layers))}, {spec.activation}"  # type: ignore[union-attr]
