"""Public settings of federated averaging: safe to log, to hash and to store with the model. Light.

The defaults of `fedavg_train` are the defaults here: see `parameters`.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.secagg.settings import MEDIAN, SumSettings

MODELS = ("logistic", "mlp", "cnn", "module")
ACTIVATIONS = ("relu", "tanh", "gelu", "sigmoid")
NORMS = ("none", "layer", "batch")
LOCAL_OPTIMISERS = ("sgd", "momentum", "adam")
SERVER_OPTIMISERS = ("fedavg", "fedadam", "fedyogi")
UNITS = ("none", "record", "client")
"""Whom the noise protects: nobody, every single row of every client (local DP-SGD), or each client as a whole."""
CHOICES = ("random", "rows", "largest")
"""Which coordinates travel: new random ones each round, one by one or in whole rows of kernels, or mostly those that
moved most in the last noised sum."""
TRAINED = ("masked", "all")
"""Which coordinates local steps move: those that travel in the round, or all (what does not travel is lost)."""
WEIGHTS = ("equal", "size", "contribution")
CONTRIBUTIONS = ("shapley", "montecarlo", "leave_one_out", "quality")
EXACT_CLIENTS = 6
"""Up to so many clients Shapley values are exact: 2**6 coalitions."""
MAX_UNITS = 4096
LEAST_BITS, FEW_BITS, MANY_BITS = 4, 8, 16


@dataclass(frozen=True)
class ModelSpec:
    """A binary classifier with one logit."""

    kind: str = "mlp"
    layers: tuple[int, ...] = (64, 32)
    activation: str = "relu"
    norm: str = "none"
    path: str = ""
    """``package.module:Class`` of a user's own Flax module."""
    arguments: str = "{}"
    keep_local: tuple[str, ...] = ()
    """Layers that never leave a client, by the beginning of their name in the module, such as ``Dense_2``."""

    @property
    def local_layers(self) -> tuple[str, ...]:
        """`keep_local`, and batch normalisation always (FedBN)."""
        return (*self.keep_local, "BatchNorm")

    def check(self) -> None:
        """Refuse what cannot be built.

        Raises:
            ComponentError: see the message.
        """
        wrong = [size for size in self.layers if not 1 <= size <= MAX_UNITS]
        if wrong:
            raise ComponentError(f"net/layers has sizes {', '.join(map(str, wrong))}; each must be 1 to {MAX_UNITS}.")
        if self.kind in ("mlp", "cnn") and not self.layers:
            raise ComponentError(f"net/kind {self.kind} needs net/layers; use logistic for none.")
        if self.kind == "module" and ":" not in self.path:
            raise ComponentError(
                f"net/module '{self.path}' is not of the form package.module:Class, such as bank_models:Net."
            )
        if self.kind != "module" and self.path:
            raise ComponentError(f"net/module is given, but net/kind is {self.kind}: set it to module.")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(document: dict[str, Any]) -> "ModelSpec":
        listed = {name: tuple(document[name]) for name in ("layers", "keep_local")}
        return ModelSpec(**{**document, **listed})


@dataclass(frozen=True)
class LocalSettings:
    """One client's share of a round."""

    epochs: int = 1
    batch: int = 256
    optimiser: str = "sgd"
    rate: float = 0.5
    proximal: float = 0.0
    """FedProx: pull towards the global model; 0 is FedAvg."""


@dataclass(frozen=True)
class Privacy:
    """Differential privacy of what leaves a client."""

    unit: str = "record"
    clip: float = 1.0
    """L2 bound of one row's gradient."""
    noise: float = 0.0
    """Standard deviation of the noise in units of the sensitivity; 0: as little as ``epsilon`` allows, constant."""
    epsilon: float = 8.0
    delta: float = 1e-5
    schedule: str = "constant"
    noise_last: float = 0.0
    """What ``increasing`` and ``adaptive`` go to, and ``decreasing`` comes from."""
    first_floor: float = 0.0
    """Least noise of the first round."""
    by_round: tuple[tuple[int, float], ...] = ()
    """Of the schedule of that name: (round from 1, noise from there on)."""
    adaptive_clip: float = 0.0
    """The share of norms that are to be within the bound, which then follows them (rows' gradients, or clients'
    updates); 0: the bound stays."""
    vote_noise: float = 10.0
    """Of ``adaptive_clip``: deviation of the noise on every count of norms; what it costs is charged."""
    colluding: int = -1
    """Unit client: of the clients besides the one that is to be protected and the one that looks at the sum (and knows
    its own noise), how many may tell it theirs; at least 1. -1: all of them, so that each client adds the full noise
    itself. See `privacy.release`."""

    def tellers(self, clients: int) -> int:
        """How many of ``clients`` may tell another one their noise: `colluding`, or all but one."""
        return clients - 1 if self.colluding < 0 else min(self.colluding, clients - 1)

    @property
    def voting(self) -> bool:
        """Whether norms are counted."""
        return self.adaptive_clip > 0 and self.unit != "none"

    def check(self, spec: ModelSpec) -> None:
        """Refuse settings that would void the claim.

        Raises:
            ComponentError: see the message.
        """
        if self.unit == "none":
            if self.adaptive_clip:
                raise ComponentError(
                    "privacy/adaptive_clip counts norms under noise; privacy/unit none adds none. Leave it 0, or "
                    "choose a unit."
                )
            return
        if self.schedule == "by_round":
            if dict(self.by_round).get(1, 0.0) <= 0:
                raise ComponentError("privacy/by_round must say the noise of round 1, such as ['1:4', '20:2'].")
        elif self.by_round:
            raise ComponentError(
                f"privacy/by_round is given, but privacy/schedule is {self.schedule}: set it to by_round."
            )
        elif self.schedule != "constant" and not 0 < self.noise <= self.noise_last:
            raise ComponentError(
                f"privacy/schedule: {self.schedule} goes between privacy/noise and privacy/noise_last; give both, the "
                "smaller one first."
            )
        if self.voting and not (self.adaptive_clip < 1 and self.vote_noise > 0):
            raise ComponentError("privacy/adaptive_clip must be below 1, and privacy/vote_noise positive.")
        if self.unit == "client" and self.colluding == 0:
            raise ComponentError(
                "privacy/colluding: 0 divides the noise among all clients as if none of them looked at the sum. Each "
                "of them is sent it and knows its own part of the noise, so nobody is protected from anybody who takes "
                "part. Give 1 or more: how many clients may tell the one that looks theirs; or -1: each adds the full "
                "noise."
            )
        if self.unit == "record" and spec.norm == "batch":
            raise ComponentError(
                "net/norm: batch mixes the rows of a batch, so no single row's gradient can be clipped; "
                "use norm: layer or none with privacy/unit: record."
            )


@dataclass(frozen=True)
class Weighting:
    """How much each client's update counts."""

    by: str = "equal"
    method: str = "shapley"
    every: int = 1
    """Rounds between two scorings."""
    smallest: float = 0.05
    largest: float = 0.6
    memory: float = 0.5
    """Of the running mean of scores: 0 looks at the last scoring only."""

    def check(self, clients: int) -> None:
        """Refuse bounds that no weights meet.

        Raises:
            ComponentError: see the message.
        """
        if self.by != "equal" and self.smallest <= 0:
            raise ComponentError(
                "weights/smallest is 0; give a little: a client that counts for nothing can never show it got better."
            )
        if clients and not self.smallest * clients <= 1 <= self.largest * clients:
            raise ComponentError(
                f"weights of {clients} clients between {self.smallest:g} and {self.largest:g} cannot sum to 1: "
                f"weights/smallest must be at most {1 / clients:.3g} and weights/largest at least {1 / clients:.3g}."
            )


@dataclass(frozen=True)
class Server:
    """What the coordinator does with a round's mean update."""

    optimiser: str = "fedavg"
    rate: float = 1.0
    average: float = 0.0
    """Share of the newest model in the running mean of models that is judged and kept; 0: the newest alone. Free of
    privacy cost, and it takes much of the noise out."""


@dataclass(frozen=True)
class Guard:
    """Against clients that send something else than they should."""

    update_norm: float = 10.0
    """L2 bound of an update; longer ones are shortened by their sender, and refused where they are seen."""
    bits: int = 0
    """Of the whole numbers an update is rounded to; 0: `FEW_BITS`, or `MANY_BITS` where whole updates are noised."""
    least_cosine: float = -1.0
    """Against the update that the reference rows would make; an update below it does not count. -1: all count."""
    veto: float = 0.0
    """A round after which the reference rows' loss is higher by more than this is taken back; 0: none is."""
    follow: float = 3.0
    """The bound of a round is so many times what the last sum says of one client's update, at most ``update_norm``: few
    bits then suffice. 0: it stays. With unit client see `Privacy.adaptive_clip` instead."""


@dataclass(frozen=True)
class Compress:
    """Which part of an update travels; the same coordinates for all clients of a round."""

    keep: float = 1.0
    """Share of the coordinates."""
    choose: str = "random"
    train: str = "masked"
    feedback: float = 0.0
    """Error feedback at the server: of the coordinates that travelled only this share, the largest so far, is applied;
    the rest is remembered. 0: all are applied at once."""

    @property
    def trains_masked(self) -> bool:
        """Whether local steps move nothing but what travels."""
        return self.keep < 1 and self.train == "masked"


@dataclass(frozen=True)
class Settings:
    """Everything that shapes a training."""

    rounds: int = 20
    local: LocalSettings = field(default_factory=LocalSettings)
    privacy: Privacy = field(default_factory=Privacy)
    weighting: Weighting = field(default_factory=Weighting)
    server: Server = field(default_factory=Server)
    guard: Guard = field(default_factory=Guard)
    compress: Compress = field(default_factory=Compress)
    participation: float = 1.0
    slow: tuple[tuple[str, int], ...] = ()
    """Clients whose update takes more than one round, with the number of rounds."""
    wait: float = 0.0
    """Seconds that a round waits for a client that has not finished; what comes later counts in a later round. 0: it
    waits for all."""
    max_staleness: int = 5
    secure_sum: SumSettings = field(default_factory=SumSettings)
    patience: int = 0
    checkpoint_every: int = 0

    @property
    def value_bits(self) -> int:
        """Of the whole numbers an update is rounded to, sign included."""
        return self.guard.bits or (MANY_BITS if self.privacy.unit == "client" else FEW_BITS)

    @property
    def asynchronous(self) -> bool:
        """Whether updates may count in a later round than the one they were begun in."""
        return bool(self.slow or self.wait)

    @property
    def steps(self) -> LocalSettings:
        """The local steps as they are run. Where only a share k of the coordinates moves in a round, each of them gets
        1/k of the steps, so they are 1/k as long: ``keep`` changes nothing else of how a model is to be trained."""
        longer = 1 / self.compress.keep if self.compress.trains_masked else 1.0
        return replace(self.local, rate=self.local.rate * longer)

    @property
    def row_bound(self) -> float:
        """L2 bound of a row's gradient as it is clipped: on a share k of the coordinates it is sqrt(k) as long."""
        return self.privacy.clip * (math.sqrt(self.compress.keep) if self.compress.trains_masked else 1.0)

    @property
    def needs_individual(self) -> bool:
        """Whether somebody must see each client's own update, and not only their sum."""
        return self.weighting.by == "contribution" or self.guard.least_cosine > -1

    def check(self, spec: ModelSpec, clients: Sequence[str], reference: bool, coordinator: str = "") -> None:
        """Everything that can be told without data.

        Args:
            reference: whether there are reference rows.
            coordinator: empty where it is not known yet.

        Raises:
            ComponentError: see the message.
        """
        spec.check()
        self.privacy.check(spec)
        self.weighting.check(len(clients))
        if (self.needs_individual or self.guard.veto) and not reference:
            raise ComponentError(
                "weights: contribution, guard/least_cosine and guard/veto judge updates on reference rows: give "
                "'valid', a table of the same columns at the party that judges."
            )
        if self.value_bits < LEAST_BITS:
            raise ComponentError(f"guard/bits is {self.guard.bits}; give at least {LEAST_BITS}, or 0 to leave it open.")
        if self.secure_sum.combine == MEDIAN and (self.weighting.by != "equal" or self.asynchronous):
            raise ComponentError(
                "secure_sum/combine: median counts heads: it goes with weights/by: equal, and without slow and wait, "
                "as late updates would count less."
            )
        if self.secure_sum.combine == MEDIAN and self.privacy.colluding >= 0:
            raise ComponentError(
                "privacy/colluding divides the noise among the clients; in a median (secure_sum/combine) parts of "
                "noise do not add up: leave it -1."
            )
        if self.privacy.colluding >= 0 and (self.privacy.unit != "client" or self.needs_individual):
            raise ComponentError(
                "privacy/colluding divides the noise of unit client among the clients; where there is no such noise, "
                "or somebody sees each client's own update, leave it -1."
            )
        if self.privacy.colluding >= 0 and coordinator in clients:
            raise ComponentError(
                f"privacy/colluding divides the noise among the clients, and {coordinator}, who adds up, is one of "
                "them and knows its own part. Name a 'coordinator' that is no client, or leave it -1."
            )
        unknown = [party for party, _ in self.slow if clients and party not in clients]
        if unknown:
            raise ComponentError(f"slow names {', '.join(unknown)}; the clients are {', '.join(clients)}.")
        if self.asynchronous and self.compress.trains_masked:
            raise ComponentError(
                "compress/train: masked trains what travels in the round; a slow client's update travels in a later "
                "one, on other coordinates. Use compress/train: all with slow or wait."
            )
        if self.asynchronous and self.privacy.voting and self.privacy.unit == "client":
            raise ComponentError(
                "privacy/adaptive_clip with unit client bounds the updates of a round alike; a slow client's was made "
                "under an older bound. Use privacy/adaptive_clip: 0 with slow or wait."
            )
        if self.patience and self.privacy.unit != "none" and not reference:
            raise ComponentError(
                "with noise no training loss is published: patience needs the reference rows 'valid', or leave it 0."
            )
        late = [f"{party}:{rounds}" for party, rounds in self.slow if rounds - 1 > self.max_staleness]
        if late:
            raise ComponentError(
                f"slow has {', '.join(late)}, more than max_staleness {self.max_staleness} allows. Raise it."
            )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
