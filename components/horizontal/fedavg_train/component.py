"""Federated averaging: several clients with the same columns, a coordinator that adds up, nobody who sees rows.

Inputs   ``tables``: one per client (or image sets). ``valid``: agreed reference rows at one party. ``clean``,
         ``scale``: rules fitted by data/federated_stats, applied here and stored with the model.
Outputs  ``model``: the whole model at every client, the coordinator and the judge. ``report``: by round.
Public   schema, row counts, settings, the figures in the report, clients' scores and weights.
"""

from pathlib import Path
from typing import Any

from secretflow.component.core import Component, Context, DistDataType, Field, Input, Interval, Output, VTable, register

from veilflow.components.data.clients import choose_coordinator
from veilflow.components.data.columns import parse_categories
from veilflow.components.data.images.bundle import IMAGE_KIND
from veilflow.components.data.rules import CLEAN_RULE, SCALE_RULE
from veilflow.components.devices.attributes import parameters
from veilflow.components.devices.events import progress, sizes
from veilflow.components.devices.objects import read_object, write_object
from veilflow.components.devices.pyu import run_on
from veilflow.components.devices.schemas import names_of_kind
from veilflow.components.devices.tables import read_frame
from veilflow.components.horizontal.fedavg.budget import spent
from veilflow.components.horizontal.fedavg.bundle import MODEL_KIND, Facts
from veilflow.components.horizontal.fedavg.codec import value_bound
from veilflow.components.horizontal.fedavg.parameters import DEFAULTS, settings_of, spec_of
from veilflow.components.horizontal.fedavg.settings import LOCAL_OPTIMISERS, LocalSettings, Settings
from veilflow.components.horizontal.fedavg_train.accounts import (
    open_budgets,
    require_summed,
    used_noises,
    write_receipts,
)
from veilflow.components.horizontal.fedavg_train.fields import (
    Adding,
    Guarding,
    Model,
    Protect,
    ServerSide,
    Sparse,
    Weigh,
)
from veilflow.components.horizontal.fedavg_train.report import write_report
from veilflow.components.horizontal.fedavg_train.sources import (
    Source,
    agree,
    load,
    merger,
    row_counts,
    rules_at,
)
from veilflow.components.horizontal.fedavg_train.standing import Cast
from veilflow.components.horizontal.fedavg_train.training import FedAvgTraining
from veilflow.components.privacy.secagg.secure_sum import SecureSum
from veilflow.components.training.checkpoints import Checkpoints, data_digest, training_key
from veilflow.components.training.loop import Course, train

_REMEDY = "Scale the features (data/federated_stats) or lower learning_rate."


@register(domain="horizontal", version="1.0.0", name="fedavg_train")
class FedAvgTrain(Component):
    """
    Train a binary classifier over clients with the same columns: local steps at each client, differentially private by
    default, a secure sum at the coordinator, weights by contribution where reference rows are agreed.
    """

    coordinator: str = Field.party_attr(
        desc="Who adds up; empty: the first party without a table.", list_limit=Interval.closed(0, 1)
    )
    net: Model = Field.struct_attr(desc="The model.")
    rounds: int = Field.attr(
        desc="Of local training and averaging.", default=Settings.rounds, bound_limit=Interval.closed(1, 10000)
    )
    local_epochs: int = Field.attr(
        desc="Passes per round.", default=LocalSettings.epochs, bound_limit=Interval.closed(1, 1000)
    )
    batch_size: int = Field.attr(
        desc="Rows per local step (on average, with privacy).",
        default=LocalSettings.batch,
        bound_limit=Interval.closed(1, 65536),
    )
    optimiser: str = Field.attr(
        desc="For local steps.", default=LocalSettings.optimiser, choices=list(LOCAL_OPTIMISERS)
    )
    learning_rate: float = Field.attr(
        desc="For local steps.", default=LocalSettings.rate, bound_limit=Interval.open(0, 100)
    )
    proximal: float = Field.attr(
        desc="FedProx: pull of local training towards the global model; 0 is FedAvg.",
        default=LocalSettings.proximal,
        bound_limit=Interval.closed(0, 1000),
    )
    participation: float = Field.attr(
        desc="Share of the clients that train in a round.",
        default=Settings.participation,
        bound_limit=Interval.open_closed(0, 1),
    )
    slow: list[str] = Field.attr(
        desc="Clients that need more than one round, as party:rounds; the others do not wait for them.",
        default=list(Settings.slow),
    )
    wait: float = Field.attr(
        desc="Seconds that a round waits for clients that have not finished; they count in a later round, with less "
        "weight. 0: it waits for all.",
        default=Settings.wait,
        bound_limit=Interval.closed(0, 3600),
    )
    max_staleness: int = Field.attr(
        desc="An update may start from a model so many rounds old.",
        default=Settings.max_staleness,
        bound_limit=Interval.closed(0, 1000),
    )
    privacy: Protect = Field.struct_attr(desc="Noise.")
    weights: Weigh = Field.struct_attr(desc="Weights.")
    guard: Guarding = Field.struct_attr(desc="Bounds.")
    compress: Sparse = Field.struct_attr(desc="Sparsification.")
    server: ServerSide = Field.struct_attr(desc="Server.")
    secure_sum: Adding = Field.struct_attr(desc="Secure aggregation.")
    categories: list[str] = Field.attr(
        desc="Values of text columns that all agree on, as column:one|two|three.", default=[]
    )
    patience: int = Field.attr(
        desc="Stop after so many rounds without a better loss (on valid, if given) and keep the best; 0: never.",
        default=Settings.patience,
        bound_limit=Interval.closed(0, 10000),
    )
    checkpoint_every: int = Field.attr(
        desc="Rounds between checkpoints; an interrupted training goes on from the last one. 0: none.",
        default=Settings.checkpoint_every,
        bound_limit=Interval.closed(0, 10000),
    )
    valid: Input = Field.input(
        desc="Agreed reference rows at one party.",
        types=[DistDataType.INDIVIDUAL_TABLE, IMAGE_KIND, DistDataType.NULL],
    )
    clean: Input = Field.input(desc="From data/federated_stats.", types=[CLEAN_RULE, DistDataType.NULL])
    scale: Input = Field.input(desc="From data/federated_stats.", types=[SCALE_RULE, DistDataType.NULL])
    tables: list[Input] = Field.input(
        desc="Each client's rows.",
        types=[DistDataType.INDIVIDUAL_TABLE, IMAGE_KIND],
        list_limit=Interval.closed(2, None),
    )
    model: Output = Field.output(desc="The trained model.", types=[MODEL_KIND])
    report: Output = Field.output(desc="Figures by round.", types=[DistDataType.REPORT])

    def evaluate(self, ctx: Context) -> None:
        sources = [read_source(ctx, each) for each in self.tables]
        reference = read_source(ctx, self.valid) if self.valid is not None else None
        columns, shape = agree(sources, parse_categories(self.categories))
        rules = self._rules(ctx)
        data = {each.party: load(each, columns, rules_at(rules, each.party)) for each in sources}
        given, clients = parameters(self, DEFAULTS), tuple(data)
        spec, settings = spec_of(given), settings_of(given)
        coordinator = choose_coordinator(self.coordinator, clients, ctx.parties)
        settings.check(spec, clients, reference is not None, coordinator)
        rows = row_counts(data)
        judge, judged = "", None
        if reference is not None:
            agree([next(s for s in sources if s.party != reference.party), reference], columns.categories)
            judge = reference.party
            judged = load(reference, columns, rules_at(rules, judge), both=True)
        cast = Cast(clients, coordinator, judge, data, judged, rows, shape)
        facts = Facts(spec, columns, shape, settings.to_json(), len(rules), "")
        checkpoints = self._checkpoints(ctx, facts, cast)
        budgets, noises = open_budgets(ctx, settings, cast, sources, checkpoints)

        def make_sum(size: int) -> SecureSum:
            del size
            bound = value_bound(settings, len(clients))
            return SecureSum(ctx, settings.secure_sum, clients, coordinator, bound)

        training = FedAvgTraining(cast, spec, settings, noises, make_sum, budgets)
        sizes(ctx, **training.sizes())
        training.distribute()

        def tell(done: int, figures: Any) -> None:
            progress(ctx, done / settings.rounds, round=done, **{k: round(v, 6) for k, v in figures.items()})

        course = Course(settings.rounds, settings.patience, settings.checkpoint_every, coordinator, "round", _REMEDY)
        history, identity = train(training, training.round, course, checkpoints, tell)
        require_summed(training)
        self._store(ctx, facts, identity, training, rules)
        if checkpoints is not None:
            checkpoints.clear()
        noises = used_noises(settings, noises, history)
        write_receipts(ctx, settings, clients, noises, training, history)
        training.secure_sum.receipts()
        estimate = spent(settings, rows, noises, len(history.rows))
        write_report(self.report, settings, spec, cast, history, training, noises, budgets.reports(), estimate)

    def _rules(self, ctx: Context) -> list[dict[str, Any]]:
        return [read_object(ctx, rule, rule.type)[1] for rule in (self.clean, self.scale) if rule is not None]

    def _checkpoints(self, ctx: Context, facts: Facts, cast: Cast) -> Checkpoints | None:
        folder: Path | None = getattr(ctx, "checkpoint_dir", None)
        if folder is None or not self.checkpoint_every:
            return None
        same = {name: value for name, value in facts.settings.items() if name not in ("rounds", "checkpoint_every")}
        digests = {party: run_on(party, data_digest, pair) for party, pair in cast.data.items()}
        key = training_key({**facts.to_json(), "settings": same, "rows": dict(cast.rows)})
        return Checkpoints(folder, key, digests, sorted(cast.holders))

    def _store(
        self, ctx: Context, facts: Facts, identity: str, training: FedAvgTraining, rules: list[dict[str, Any]]
    ) -> None:
        parts = {
            party: run_on(party, merger(identity), part, *rules_at(rules, party))
            for party, part in training.model_sections().items()
        }
        write_object(ctx, self.model, MODEL_KIND, parts, {**facts.to_json(), "identity": identity})


def read_source(ctx: Context, stored: Any) -> Source:
    """A table or an image set at its party, with what is public of it.

    Raises:
        ComponentError: a table of several parties.
    """
    if stored.type == IMAGE_KIND:
        public, parts = read_object(ctx, stored, IMAGE_KIND)
        ((party, part),) = parts.items()
        return Source(party, part, shape=tuple(public["shape"]), labelled=bool(public["labelled"]))
    table = VTable.from_distdata(stored)
    part = table.get_party(0)
    features, labels, ids = (tuple(names_of_kind(part.schema, kind)) for kind in ("feature", "label", "id"))
    types = {name: str(kind) for name, kind in part.types.items()}
    return Source(part.party, read_frame(ctx, part), features, labels, types, ids=ids)
