"""Federated averaging: several clients with the same columns, a coordinator that adds up, nobody who sees rows.

Inputs   ``tables``: one per client (or image sets). ``valid``: agreed reference rows at one party. ``clean``,
         ``scale``: rules fitted by data/federated_stats, applied here and stored with the model.
Outputs  ``model``: the whole model at every client, the coordinator and the judge. ``report``: by round.
Public   schema, row counts, settings, the figures in the report, clients' scores and weights.
"""
# ruff: noqa: RUF009 - SecretFlow declares nested attributes this way

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secretflow.component.core import Component, Context, DistDataType, Field, Input, Interval, Output, VTable, register

from veilflow.components.data.columns import parse_categories
from veilflow.components.data.images.bundle import IMAGE_KIND
from veilflow.components.data.rules import CLEAN_RULE, SCALE_RULE
from veilflow.components.devices.events import progress, sizes
from veilflow.components.devices.objects import read_object, write_object
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.schemas import names_of_kind
from veilflow.components.devices.tables import read_frame
from veilflow.components.horizontal.fedavg.budget import multipliers, spent
from veilflow.components.horizontal.fedavg.bundle import MODEL_KIND, Facts
from veilflow.components.horizontal.fedavg.codec import value_bound
from veilflow.components.horizontal.fedavg.settings import (
    ACTIVATIONS,
    CHOICES,
    CONTRIBUTIONS,
    LOCAL_OPTIMISERS,
    MODELS,
    NORMS,
    SERVER_OPTIMISERS,
    TRAINED,
    UNITS,
    WEIGHTS,
)
from veilflow.components.horizontal.fedavg_train.accounts import (
    choose_coordinator,
    open_budgets,
    require_summed,
    used_noises,
    write_receipts,
)
from veilflow.components.horizontal.fedavg_train.options import settings_of, spec_of
from veilflow.components.horizontal.fedavg_train.report import write_report
from veilflow.components.horizontal.fedavg_train.sources import (
    Source,
    agree,
    load,
    merger,
    people_digest,
    row_counts,
    rules_at,
)
from veilflow.components.horizontal.fedavg_train.standing import Cast
from veilflow.components.horizontal.fedavg_train.training import FedAvgTraining
from veilflow.components.privacy.schedule import KINDS
from veilflow.components.privacy.secagg.secure_sum import SecureSum
from veilflow.components.privacy.secagg.settings import BACKENDS, COMBINES, MASKS, MIN_KEY_BITS, SUM
from veilflow.components.training.checkpoints import Checkpoints, data_digest, training_key
from veilflow.components.training.loop import Course, train

_REMEDY = "Scale the features (data/federated_stats) or lower learning_rate."


@dataclass
class Model:
    """What the clients train; one logit."""

    kind: str = Field.attr(
        desc="logistic, mlp, cnn (images) or a Flax module of your own.", default="mlp", choices=list(MODELS)
    )
    layers: list[int] = Field.attr(desc="Hidden sizes of an mlp, channels of a cnn.", default=[64, 32])
    activation: str = Field.attr(desc="After each layer.", default="relu", choices=list(ACTIVATIONS))
    norm: str = Field.attr(
        desc="After each layer; batch stays local to each client (FedBN).", default="none", choices=list(NORMS)
    )
    module: str = Field.attr(desc="kind module: package.module:Class, installed at every party.", default="")
    arguments: str = Field.attr(desc="The module's constructor arguments, a JSON object.", default="{}")
    keep_local: list[str] = Field.attr(
        desc="Layers that never leave a client (personalisation), by the beginning of their name: Dense_2.", default=[]
    )


@dataclass
class ServerSide:
    """What becomes of a round's mean update."""

    optimiser: str = Field.attr(
        desc="fedavg adds it; fedadam and fedyogi adapt each parameter's step.",
        default="fedavg",
        choices=list(SERVER_OPTIMISERS),
    )
    learning_rate: float = Field.attr(desc="1 is plain FedAvg.", default=1.0, bound_limit=Interval.open(0, 100))
    average: float = Field.attr(
        desc="Keep a running mean of the models with this share of the newest; 0: the newest alone. Takes noise out.",
        default=0.0,
        bound_limit=Interval.closed(0, 1),
    )


@dataclass
class Protect:
    """Differential privacy of what leaves a client."""

    unit: str = Field.attr(
        desc="record: each row's gradient is clipped and every local step noised (DP-SGD). client: each update is "
        "noised as a whole; with few clients mostly a label. none: no noise.",
        default="record",
        choices=list(UNITS),
    )
    clip: float = Field.attr(
        desc="L2 bound of a row's gradient.", default=1.0, bound_limit=Interval.closed(0.001, 1000)
    )
    noise: float = Field.attr(
        desc="Standard deviation of the noise, in units of the clip. 0: as little as epsilon allows.",
        default=0.0,
        bound_limit=Interval.closed(0, 1000),
    )
    schedule: str = Field.attr(
        desc="Over the rounds: increasing goes from noise to noise_last, decreasing the other way, by_round as listed, "
        "adaptive from noise towards noise_last as the noised updates shrink, until epsilon is spent. Order changes no "
        "epsilon; compare schedules at equal epsilon.",
        default="constant",
        choices=list(KINDS),
    )
    noise_last: float = Field.attr(
        desc="The larger noise of a schedule.", default=0.0, bound_limit=Interval.closed(0, 1000)
    )
    by_round: list[str] = Field.attr(
        desc="schedule by_round: round:noise, each until the next, such as 1:4.0 and 20:2.0.", default=[]
    )
    first_floor: float = Field.attr(
        desc="Least noise of the first round, where gradients are easiest to invert.",
        default=0.0,
        bound_limit=Interval.closed(0, 1000),
    )
    adaptive_clip: float = Field.attr(
        desc="The share of norms to be within the bound, which then follows them: of rows' gradients (record), of "
        "updates (client). 0: the bound stays.",
        default=0.0,
        bound_limit=Interval.closed_open(0, 1),
    )
    vote_noise: float = Field.attr(
        desc="adaptive_clip: noise on every count of norms; what it costs is charged.",
        default=10.0,
        bound_limit=Interval.open(0, 10000),
    )
    colluding: int = Field.attr(
        desc="unit client: how many other clients may pool with the coordinator against one; fewer let all add less "
        "noise. -1: all, so each client adds the full noise itself.",
        default=-1,
        bound_limit=Interval.closed(-1, 1000),
    )
    epsilon: float = Field.attr(desc="What all rounds may cost.", default=8.0, bound_limit=Interval.open(0, 1000))
    delta: float = Field.attr(
        desc="Below one over the number of rows.", default=1e-5, bound_limit=Interval.open(0, 0.01)
    )


@dataclass
class Weigh:
    """How much each client's update counts."""

    by: str = Field.attr(
        desc="equal; size: rows as the clients report them; contribution: what updates are worth on 'valid'.",
        default="equal",
        choices=list(WEIGHTS),
    )
    method: str = Field.attr(
        desc="contribution: Shapley values (exact up to 6 clients), truncated Monte-Carlo, leave-one-out, or each "
        "client's update alone.",
        default="shapley",
        choices=list(CONTRIBUTIONS),
    )
    every: int = Field.attr(desc="Rounds between scorings.", default=1, bound_limit=Interval.closed(1, 1000))
    smallest: float = Field.attr(desc="No weight is smaller.", default=0.05, bound_limit=Interval.closed(0, 1))
    largest: float = Field.attr(desc="No weight is larger.", default=0.6, bound_limit=Interval.closed(0.001, 1))
    memory: float = Field.attr(
        desc="Of the running mean of scores; 0: the last scoring only.",
        default=0.5,
        bound_limit=Interval.closed_open(0, 1),
    )


@dataclass
class Guarding:
    """Against updates that are not what they should be."""

    update_norm: float = Field.attr(
        desc="L2 bound of an update.", default=10.0, bound_limit=Interval.closed(0.001, 10000)
    )
    bits: int = Field.attr(
        desc="Of the whole numbers that a rotated update is rounded to; 0: 8, or 16 with privacy/unit: client.",
        default=0,
        bound_limit=Interval.closed(0, 32),
    )
    follow: float = Field.attr(
        desc="The bound of a round is so many times what the last sum says of one client's update, at most "
        "update_norm. 0: it stays at update_norm, which then wants more bits.",
        default=3.0,
        bound_limit=Interval.closed(0, 1000),
    )
    least_cosine: float = Field.attr(
        desc="Least cosine of an update to the one that the rows of 'valid' would make; below it an update does not "
        "count in its round. -1: all count.",
        default=-1.0,
        bound_limit=Interval.closed(-1, 1),
    )
    veto: float = Field.attr(
        desc="Take a round back after which the loss on 'valid' is higher by more than this; 0: never.",
        default=0.0,
        bound_limit=Interval.closed(0, 1000),
    )


@dataclass
class Sparse:
    """Which part of an update travels; the same coordinates for all clients."""

    keep: float = Field.attr(
        desc="Share of the coordinates of a round.", default=1.0, bound_limit=Interval.open_closed(0, 1)
    )
    choose: str = Field.attr(
        desc="random: new ones each round; largest: mostly those that moved most in the last noised sum.",
        default="random",
        choices=list(CHOICES),
    )
    train: str = Field.attr(
        desc="masked: local steps move what travels in the round and nothing else; clip and noise are for it alone "
        "(clip * sqrt(keep)), and as a coordinate moves in fewer rounds, its steps are longer (learning_rate / keep). "
        "all: they move everything, and what does not travel is lost.",
        default="masked",
        choices=list(TRAINED),
    )
    feedback: float = Field.attr(
        desc="Error feedback at the server, on noised sums: of what travelled only this share, the largest so far, is "
        "applied in a round, the rest is remembered. 0: all at once.",
        default=0.0,
        bound_limit=Interval.closed(0, 1),
    )


@dataclass
class Adding:
    """How the coordinator gets the sum of the updates."""

    backend: str = Field.attr(
        desc="masks: pairwise masks; packed_he: Paillier; spu: secret shares; plain: no protection, simulation only.",
        default=MASKS,
        choices=list(BACKENDS),
    )
    keeper: str = Field.attr(desc="packed_he: who holds the key; empty: the first client.", default="")
    key_bits: int = Field.attr(
        desc="packed_he: of the key.", default=MIN_KEY_BITS, bound_limit=Interval.closed(MIN_KEY_BITS, 8192)
    )
    combine: str = Field.attr(
        desc="mean: of all updates. median: entry by entry, with backend spu and three clients or more; what one of "
        "them sends cannot move it beyond the others. Equal weights only.",
        default=SUM,
        choices=list(COMBINES),
    )
    minimum_clients: int = Field.attr(
        desc="A round with fewer is not added up.", default=2, bound_limit=Interval.closed(2, 1000)
    )


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
    rounds: int = Field.attr(desc="Of local training and averaging.", default=20, bound_limit=Interval.closed(1, 10000))
    local_epochs: int = Field.attr(desc="Passes per round.", default=1, bound_limit=Interval.closed(1, 1000))
    batch_size: int = Field.attr(
        desc="Rows per local step (on average, with privacy).", default=256, bound_limit=Interval.closed(1, 65536)
    )
    optimiser: str = Field.attr(desc="For local steps.", default="sgd", choices=list(LOCAL_OPTIMISERS))
    learning_rate: float = Field.attr(desc="For local steps.", default=0.5, bound_limit=Interval.open(0, 100))
    proximal: float = Field.attr(
        desc="FedProx: pull of local training towards the global model; 0 is FedAvg.",
        default=0.0,
        bound_limit=Interval.closed(0, 1000),
    )
    participation: float = Field.attr(
        desc="Share of the clients that train in a round.", default=1.0, bound_limit=Interval.open_closed(0, 1)
    )
    slow: list[str] = Field.attr(
        desc="Clients that need more than one round, as party:rounds; the others do not wait for them.", default=[]
    )
    wait: float = Field.attr(
        desc="Seconds that a round waits for clients that have not finished; they count in a later round, with less "
        "weight. 0: it waits for all.",
        default=0.0,
        bound_limit=Interval.closed(0, 3600),
    )
    max_staleness: int = Field.attr(
        desc="An update may start from a model so many rounds old.", default=5, bound_limit=Interval.closed(0, 1000)
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
        default=0,
        bound_limit=Interval.closed(0, 10000),
    )
    checkpoint_every: int = Field.attr(
        desc="Rounds between checkpoints; an interrupted training goes on from the last one. 0: none.",
        default=0,
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
        spec, settings, clients = spec_of(self.net), settings_of(self), tuple(data)
        settings.check(spec, clients, reference is not None)
        coordinator = choose_coordinator(ctx, self.coordinator, clients)
        rows = row_counts(data)
        judge, judged = "", None
        if reference is not None:
            agree([next(s for s in sources if s.party != reference.party), reference], columns.categories)
            judge = reference.party
            judged = load(reference, columns, rules_at(rules, judge), both=True)
        cast = Cast(clients, coordinator, judge, data, judged, rows, shape)
        facts = Facts(spec, columns, shape, settings.to_json(), len(rules), "")
        digests = {party: run_on(party, data_digest, pair) for party, pair in data.items()}
        checkpoints = self._checkpoints(ctx, facts, digests, cast)
        noises = publish(run_on(coordinator, multipliers, settings, rows))  # takes seconds: once, not everywhere
        people = {source.party: run_on(source.party, people_digest, source.frame, source.ids) for source in sources}
        budgets, noises = open_budgets(ctx, settings, cast, noises, people, checkpoints)

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
        training.tell_astray()
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

    def _checkpoints(self, ctx: Context, facts: Facts, digests: dict[str, Any], cast: Cast) -> Checkpoints | None:
        folder: Path | None = getattr(ctx, "checkpoint_dir", None)
        if folder is None or not self.checkpoint_every:
            return None
        same = {name: value for name, value in facts.settings.items() if name not in ("rounds", "checkpoint_every")}
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
