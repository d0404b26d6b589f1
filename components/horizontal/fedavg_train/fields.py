"""The groups of attributes of `fedavg_train`: bounds and descriptions. Defaults are those of the settings."""
# ruff: noqa: RUF009 - SecretFlow declares nested attributes this way

from dataclasses import dataclass

from secretflow.component.core import Field, Interval

from veilflow.components.horizontal.fedavg.settings import (
    ACTIVATIONS,
    CHOICES,
    CONTRIBUTIONS,
    MODELS,
    NORMS,
    SERVER_OPTIMISERS,
    TRAINED,
    UNITS,
    WEIGHTS,
    Compress,
    Guard,
    ModelSpec,
    Privacy,
    Server,
    Weighting,
)
from veilflow.components.privacy.schedule import KINDS
from veilflow.components.privacy.secagg import fields as sum_fields
from veilflow.components.privacy.secagg.settings import COMBINES, SumSettings


@dataclass
class Model:
    """What the clients train; one logit."""

    kind: str = Field.attr(
        desc="logistic, mlp, cnn (images) or a Flax module of your own.", default=ModelSpec.kind, choices=list(MODELS)
    )
    layers: list[int] = Field.attr(desc="Hidden sizes of an mlp, channels of a cnn.", default=list(ModelSpec.layers))
    activation: str = Field.attr(desc="After each layer.", default=ModelSpec.activation, choices=list(ACTIVATIONS))
    norm: str = Field.attr(
        desc="After each layer; batch stays local to each client (FedBN).", default=ModelSpec.norm, choices=list(NORMS)
    )
    module: str = Field.attr(
        desc="kind module: package.module:Class, installed at every party.", default=ModelSpec.path
    )
    arguments: str = Field.attr(desc="The module's constructor arguments, a JSON object.", default=ModelSpec.arguments)
    keep_local: list[str] = Field.attr(
        desc="Layers that never leave a client (personalisation), by the beginning of their name: Dense_2.",
        default=list(ModelSpec.keep_local),
    )


@dataclass
class ServerSide:
    """What becomes of a round's mean update."""

    optimiser: str = Field.attr(
        desc="fedavg adds it; fedadam and fedyogi adapt each parameter's step.",
        default=Server.optimiser,
        choices=list(SERVER_OPTIMISERS),
    )
    learning_rate: float = Field.attr(desc="1 is plain FedAvg.", default=Server.rate, bound_limit=Interval.open(0, 100))
    average: float = Field.attr(
        desc="Keep a running mean of the models with this share of the newest; 0: the newest alone. Takes noise out.",
        default=Server.average,
        bound_limit=Interval.closed(0, 1),
    )


@dataclass
class Protect:
    """Differential privacy of what leaves a client."""

    unit: str = Field.attr(
        desc="record: each row's gradient is clipped and every local step noised (DP-SGD). client: each update is "
        "noised as a whole; with few clients mostly a label. none: no noise.",
        default=Privacy.unit,
        choices=list(UNITS),
    )
    clip: float = Field.attr(
        desc="L2 bound of a row's gradient.", default=Privacy.clip, bound_limit=Interval.closed(0.001, 1000)
    )
    noise: float = Field.attr(
        desc="Standard deviation of the noise, in units of the clip. 0: as little as epsilon allows.",
        default=Privacy.noise,
        bound_limit=Interval.closed(0, 1000),
    )
    schedule: str = Field.attr(
        desc="Over the rounds: increasing goes from noise to noise_last, decreasing the other way, by_round as listed, "
        "adaptive from noise towards noise_last as the noised updates shrink, until epsilon is spent. Order changes no "
        "epsilon; compare schedules at equal epsilon.",
        default=Privacy.schedule,
        choices=list(KINDS),
    )
    noise_last: float = Field.attr(
        desc="The larger noise of a schedule.", default=Privacy.noise_last, bound_limit=Interval.closed(0, 1000)
    )
    by_round: list[str] = Field.attr(
        desc="schedule by_round: round:noise, each until the next, such as 1:4.0 and 20:2.0.",
        default=list(Privacy.by_round),
    )
    first_floor: float = Field.attr(
        desc="Least noise of the first round, where gradients are easiest to invert.",
        default=Privacy.first_floor,
        bound_limit=Interval.closed(0, 1000),
    )
    adaptive_clip: float = Field.attr(
        desc="The share of norms to be within the bound, which then follows them: of rows' gradients (record), of "
        "updates (client). 0: the bound stays.",
        default=Privacy.adaptive_clip,
        bound_limit=Interval.closed_open(0, 1),
    )
    vote_noise: float = Field.attr(
        desc="adaptive_clip: noise on every count of norms; what it costs is charged.",
        default=Privacy.vote_noise,
        bound_limit=Interval.open(0, 10000),
    )
    colluding: int = Field.attr(
        desc="unit client: how many clients may tell another one, who is sent the sum and knows its own noise, theirs; "
        "fewer let all add less noise. 1 or more; -1: all, so each client adds the full noise itself.",
        default=Privacy.colluding,
        bound_limit=Interval.closed(-1, 1000),
    )
    epsilon: float = Field.attr(
        desc="What all rounds may cost.", default=Privacy.epsilon, bound_limit=Interval.open(0, 1000)
    )
    delta: float = Field.attr(
        desc="Below one over the number of rows.", default=Privacy.delta, bound_limit=Interval.open(0, 0.01)
    )


@dataclass
class Weigh:
    """How much each client's update counts."""

    by: str = Field.attr(
        desc="equal; size: rows as the clients report them; contribution: what updates are worth on 'valid'.",
        default=Weighting.by,
        choices=list(WEIGHTS),
    )
    method: str = Field.attr(
        desc="contribution: Shapley values (exact up to 6 clients), truncated Monte-Carlo, leave-one-out, or each "
        "client's update alone.",
        default=Weighting.method,
        choices=list(CONTRIBUTIONS),
    )
    every: int = Field.attr(
        desc="Rounds between scorings.", default=Weighting.every, bound_limit=Interval.closed(1, 1000)
    )
    smallest: float = Field.attr(
        desc="No weight is smaller.", default=Weighting.smallest, bound_limit=Interval.closed(0, 1)
    )
    largest: float = Field.attr(
        desc="No weight is larger.", default=Weighting.largest, bound_limit=Interval.closed(0.001, 1)
    )
    memory: float = Field.attr(
        desc="Of the running mean of scores; 0: the last scoring only.",
        default=Weighting.memory,
        bound_limit=Interval.closed_open(0, 1),
    )


@dataclass
class Guarding:
    """Against updates that are not what they should be."""

    update_norm: float = Field.attr(
        desc="L2 bound of an update.", default=Guard.update_norm, bound_limit=Interval.closed(0.001, 10000)
    )
    bits: int = Field.attr(
        desc="Of the whole numbers that a rotated update is rounded to; 0: 8, or 16 with privacy/unit: client.",
        default=Guard.bits,
        bound_limit=Interval.closed(0, 32),
    )
    follow: float = Field.attr(
        desc="The bound of a round is so many times what the last sum says of one client's update, at most "
        "update_norm. 0: it stays at update_norm, which then wants more bits.",
        default=Guard.follow,
        bound_limit=Interval.closed(0, 1000),
    )
    least_cosine: float = Field.attr(
        desc="Least cosine of an update to the one that the rows of 'valid' would make; below it an update does not "
        "count in its round. -1: all count.",
        default=Guard.least_cosine,
        bound_limit=Interval.closed(-1, 1),
    )
    veto: float = Field.attr(
        desc="Take a round back after which the loss on 'valid' is higher by more than this; 0: never.",
        default=Guard.veto,
        bound_limit=Interval.closed(0, 1000),
    )


@dataclass
class Sparse:
    """Which part of an update travels; the same coordinates for all clients."""

    keep: float = Field.attr(
        desc="Share of the coordinates of a round.", default=Compress.keep, bound_limit=Interval.open_closed(0, 1)
    )
    choose: str = Field.attr(
        desc="random: new ones each round; rows: the same, in whole rows of kernels, which takes less time to clip; "
        "largest: mostly those that moved most in the last noised sum.",
        default=Compress.choose,
        choices=list(CHOICES),
    )
    train: str = Field.attr(
        desc="masked: local steps move what travels in the round and nothing else; clip and noise are for it alone "
        "(clip * sqrt(keep)), and as a coordinate moves in fewer rounds, its steps are longer (learning_rate / keep). "
        "all: they move everything, and what does not travel is lost.",
        default=Compress.train,
        choices=list(TRAINED),
    )
    feedback: float = Field.attr(
        desc="Error feedback at the server, on noised sums: of what travelled only this share, the largest so far, is "
        "applied in a round, the rest is remembered. 0: all at once.",
        default=Compress.feedback,
        bound_limit=Interval.closed(0, 1),
    )


@dataclass
class Adding:
    """How the coordinator gets the sum of the updates."""

    backend: str = sum_fields.backend()
    keeper: str = sum_fields.keeper()
    key_bits: int = sum_fields.key_bits()
    combine: str = Field.attr(
        desc="mean: of all updates. median: entry by entry, with backend spu and three clients or more; what one of "
        "them sends cannot move it beyond the others. Equal weights only.",
        default=SumSettings.combine,
        choices=list(COMBINES),
    )
    minimum_clients: int = Field.attr(
        desc="A round with fewer is not added up.",
        default=SumSettings.minimum_clients,
        bound_limit=Interval.closed(2, 1000),
    )
