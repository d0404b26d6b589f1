"""Train a classifier on rows that nobody sees: everything runs inside the SPU, from the shares of a secret table.

Inputs   ``table``: shares of features and one label, with or without weight and mask columns (masked rows weigh 0).
Outputs  ``model``: shares at the SPU's parties, and the parameters in the clear where `open_to` says; no pickle.
         ``report``: figures by epoch.
Public   column names, the table's length, settings, and which positions make up a batch (nobody knows whose they are).
Opened   mean losses, accuracies and the AUC of rows held out, to `metrics_to` (default: everybody); the model to
         `open_to` (default: nobody).
"""

import secrets
from typing import Any

import numpy as np
from secretflow.component.core import Component, Context, DistDataType, Field, Input, Interval, Output, register

from veilflow.components.devices.attributes import decimal
from veilflow.components.devices.events import progress, receipt, sizes
from veilflow.components.devices.objects import write_object
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.report import ReportBuilder
from veilflow.components.devices.secret import SecretMachine
from veilflow.components.devices.secret_table import SECRET_TABLE_KIND, SecretTable, SpuFacts, read_secret_table
from veilflow.components.errors import ComponentError
from veilflow.components.training.batches import batch_size, epoch_order, order_token
from veilflow.components.training.parts import merge
from veilflow.components.vertical.secret.bundle import MODEL_KIND, Facts
from veilflow.components.vertical.secret.declare import declare, is_logistic
from veilflow.components.vertical.secret.network import make_network
from veilflow.components.vertical.secret.optimiser import Rule
from veilflow.components.vertical.secret.rows import split_positions, split_seed
from veilflow.components.vertical.secret.settings import AUTO, DEALT_RANGE, MINIMUM_ROWS, OPTIMISERS, SIGMOIDS, Settings
from veilflow.components.vertical.secret_train.training import SecretTraining, features_of, label_of
from veilflow.components.vertical.split.model import TOP_ACTIVATIONS

WATCHED_ROWS = 8192
"""Rows of an epoch's order whose loss is looked at; a random sample, so an estimate."""

TEST_ROWS = 32768
"""At most so many held-out rows are evaluated: the ROC curve costs 96 secret comparisons a row."""

MAX_BEYOND = 0.005
"""Share of rows whose logits may be out of the dealt sigmoid's range."""

_PLAUSIBLE_LOSS = (-0.05, 100.0)


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
        desc="Epochs between estimates of the training loss; 0: only after the last.",
        default=1,
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
        size = batch_size(len(train), settings.batch, 8)
        settings.check(size)
        network = make_network(spec, len(features))
        rule = Rule(settings.optimiser, settings.rate, settings.clip)
        dealt = settings.deals(is_logistic(spec), machine.dealt_sigmoid)
        training = SecretTraining(machine, table, parts, network, rule, size, dealt)
        figures = Figures(training, watching, machine.parties[0], dealt)
        sizes(ctx, openings=_openings(settings))
        self._train(ctx, training, figures, settings, train)
        if len(test):
            figures.add("test", settings.epochs, test[:TEST_ROWS], auc=True)
        identity: str = publish(run_on(machine.parties[0], secrets.token_hex, 16))
        columns = tuple((column.owner, column.name) for column in features)
        facts = Facts(
            spec, columns, (label.owner, label.name), settings.to_json(), opened_to, table.identity, seed, identity
        )
        self._store(ctx, facts, training, figures)
        _receipts(ctx, settings, training, opened_to, watching)
        self._write_report(facts, figures, table, len(train), len(test), size)

    def _train(
        self, ctx: Context, training: SecretTraining, figures: "Figures", settings: Settings, train: np.ndarray
    ) -> None:
        for epoch in range(1, settings.epochs + 1):
            tokens = publish([run_on(party, order_token) for party in training.parties])
            order = train[epoch_order(tokens, len(train))]
            training.epoch(order)
            every = settings.evaluate_every
            if epoch == settings.epochs or (every and epoch % every == 0):
                seen = figures.add("train", epoch, order[:WATCHED_ROWS])
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
            sigmoid=self.sigmoid or AUTO,
        )

    def _store(self, ctx: Context, facts: Facts, training: SecretTraining, figures: "Figures") -> None:
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
        self, facts: Facts, figures: "Figures", table: SecretTable, train: int, test: int, size: int
    ) -> None:
        report = ReportBuilder("secret_train", "Training inside the SPU.")
        report.values("metrics", {**figures.last, "epochs": int(self.epochs), "rows": train, "batch": size})
        report.table("history", figures.columns(), "Estimates from a random sample of the epoch's rows.")
        told: dict[str, int | str] = {
            "network": _in_words(facts),
            "features": len(facts.features),
            "label": f"{facts.label[1]} at {facts.label[0]}",
            "rows held out": test,
            "weighted rows": "yes" if table.names("mask") or table.names("weight") else "no",
            "model opened to": ", ".join(facts.opened_to) or "nobody",
            "figures for": figures.receiver or "everybody",
        }
        report.values("model", told).write(self.report)


class Figures:
    """What evaluations open: to everybody, or to one party, who keeps them with its part of the model."""

    def __init__(self, training: SecretTraining, receiver: str, opener: str, dealt: bool) -> None:
        self._dealt = dealt
        self._training, self.receiver, self._opener = training, receiver, opener
        self._rows: list[dict[str, float]] = []
        self.last: dict[str, float] = {}
        self.kept: list[tuple[str, Any]] = []

    def add(self, what: str, epoch: int, positions: np.ndarray, auc: bool = False) -> dict[str, float]:
        """Evaluate; returns the figures where they are for everybody, else nothing."""
        found = self._training.evaluate(positions, self.receiver or self._opener, auc)
        if self.receiver:
            self.kept.append((f"{what} {epoch}", found))
            return {}
        values = {f"{what}_{name}": value for name, value in publish(found).items()}
        _require_plausible(values[f"{what}_loss"], epoch)
        beyond = values.pop(f"{what}_beyond")
        if self._dealt:
            _require_in_range(beyond, epoch)
        self.last |= values
        if what == "train":
            self._rows.append({"epoch": float(epoch), **values})
        return {name: round(value, 6) for name, value in values.items()}

    def columns(self) -> dict[str, list[float]]:
        return {name: [row[name] for row in self._rows] for name in (self._rows[0] if self._rows else ())}

    def document(self) -> Any:
        """What the one receiver keeps, at that party."""
        names = [name for name, _ in self.kept]
        return run_on(
            self.receiver, lambda *found: (dict(zip(names, found, strict=True)), {}), *[each for _, each in self.kept]
        )


def _openings(settings: Settings) -> int:
    """How often one party may get something opened: evaluations (the last with the AUC apart), and the model."""
    watched = settings.epochs // settings.evaluate_every if settings.evaluate_every else 0
    return watched + 4


def _require_plausible(loss: float, epoch: int) -> None:
    low, high = _PLAUSIBLE_LOSS
    if not low <= loss <= high:
        raise ComponentError(
            f"the loss after epoch {epoch} is {loss:.3g}: numbers have left the fixed point. Scale the features "
            "(data/scale, before the alignment), lower learning_rate, or set clip."
        )


def _require_in_range(beyond: float, epoch: int) -> None:
    if beyond > MAX_BEYOND:
        raise ComponentError(
            f"{beyond:.1%} of the rows have logits beyond {DEALT_RANGE:g} after epoch {epoch}, where the dealt sigmoid "
            "is wrong. Use sigmoid: exact, cut outliers before the alignment, or lower learning_rate."
        )


def _merger(identity: str, names: list[str]) -> Any:
    return lambda *parts: merge(identity, dict(zip(names, parts, strict=True)), [])


def _receipts(
    ctx: Context, settings: Settings, training: SecretTraining, opened_to: tuple[str, ...], watching: str
) -> None:
    if settings.clip:
        receipt(ctx, "clip", bound=settings.clip, norm="L2, of the mean gradient")
    if training.weighted:
        receipt(ctx, "weights_masked", mean=1.0)
    receipt(ctx, "minimum_rows", rows=MINIMUM_ROWS)
    receipt(ctx, "stays_shares", opened_to=list(opened_to), metrics_to=watching or "everybody")


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
