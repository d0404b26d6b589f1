"""Public settings of federated averaging: safe to log, to hash and to store with the model. Light."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.secagg.settings import SumSettings

MODELS = ("logistic", "mlp", "cnn", "module")
ACTIVATIONS = ("relu", "tanh", "gelu", "sigmoid")
NORMS = ("none", "layer", "batch")
LOCAL_OPTIMISERS = ("sgd", "momentum", "adam")
SERVER_OPTIMISERS = ("fedavg", "fedadam", "fedyogi")
UNITS = ("none", "record", "client")
"""Whom the noise protects: nobody, every single row of every client (local DP-SGD), or each client as a whole."""
CHOICES = ("random", "largest")
"""Which coordinates travel: new random ones each round, or mostly those that moved most in the last noised sum."""
WEIGHTS = ("equal", "size", "contribution")
CONTRIBUTIONS = ("shapley", "montecarlo", "leave_one_out", "quality")
EXACT_CLIENTS = 6
"""Up to so many clients Shapley values are exact: 2**6 coalitions."""
MAX_UNITS = 4096


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
            raise ComponentError(f"net/module '{self.path}' is not of the form package.module:Class.")
        if self.kind != "module" and self.path:
            raise ComponentError("net/module is given, but net/kind is not module.")

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
    batch: int = 128
    optimiser: str = "sgd"
    rate: float = 0.1
    proximal: float = 0.0
    """FedProx: pull towards the global model; 0 is FedAvg."""


@dataclass(frozen=True)
class Privacy:
    """Differential privacy of what leaves a client."""

    unit: str = "none"
    clip: float = 1.0
    """L2 bound of one row's gradient."""
    noise: float = 0.0
    """Standard deviation of the noise in units of the sensitivity; 0: as little as ``epsilon`` allows, constant."""
    epsilon: float = 8.0
    delta: float = 1e-5
    schedule: str = "constant"
    noise_last: float = 0.0
    """What ``increasing`` and ``decreasing`` go to, or come from."""
    first_floor: float = 0.0
    """Least noise of the first round."""

    def check(self, spec: ModelSpec) -> None:
        """Refuse settings that would void the claim.

        Raises:
            ComponentError: see the message.
        """
        if self.unit == "none":
            return
        if self.schedule != "constant" and not 0 < self.noise <= self.noise_last:
            raise ComponentError(
                f"privacy/schedule: {self.schedule} goes between privacy/noise and privacy/noise_last; give both, the "
                "smaller one first."
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
        if clients and not self.smallest * clients <= 1 <= self.largest * clients:
            raise ComponentError(
                f"weights of {clients} clients between {self.smallest:g} and {self.largest:g} cannot sum to 1; "
                f"smallest is at most {1 / clients:.3g} and largest at least {1 / clients:.3g}."
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
    bits: int = 16
    """Of the whole numbers an update is rounded to."""
    least_cosine: float = -1.0
    """Against the sum of the other updates; an update below it does not count in the next round. -1: all count."""
    veto: float = 0.0
    """A round after which the reference rows' loss is higher by more than this is taken back; 0: none is."""


@dataclass(frozen=True)
class Compress:
    """Which part of an update travels; the same coordinates for all clients of a round."""

    keep: float = 1.0
    """Share of the coordinates."""
    choose: str = "random"


@dataclass(frozen=True)
class Settings:
    """Everything that shapes a training."""

    rounds: int
    local: LocalSettings = field(default_factory=LocalSettings)
    privacy: Privacy = field(default_factory=Privacy)
    weighting: Weighting = field(default_factory=Weighting)
    server: Server = field(default_factory=Server)
    guard: Guard = field(default_factory=Guard)
    compress: Compress = field(default_factory=Compress)
    participation: float = 1.0
    slow: tuple[tuple[str, int], ...] = ()
    """Clients whose update takes more than one round, with the number of rounds."""
    max_staleness: int = 5
    secure_sum: SumSettings = field(default_factory=SumSettings)
    patience: int = 0
    checkpoint_every: int = 0

    @property
    def needs_individual(self) -> bool:
        """Whether somebody must see each client's own update, and not only their sum."""
        return self.weighting.by == "contribution" or self.guard.least_cosine > -1

    def check(self, spec: ModelSpec, clients: Sequence[str], reference: bool) -> None:
        """Everything that can be told without data.

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
        unknown = [party for party, _ in self.slow if clients and party not in clients]
        if unknown:
            raise ComponentError(f"slow names {', '.join(unknown)}; the clients are {', '.join(clients)}.")
        late = [f"{party}:{rounds}" for party, rounds in self.slow if rounds - 1 > self.max_staleness]
        if late:
            raise ComponentError(f"slow has {', '.join(late)}, more than max_staleness {self.max_staleness} allows.")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def parse_slow(entries: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """``["bank_c:3"]`` as pairs.

    Raises:
        ComponentError: an entry of another form.
    """
    found = []
    for entry in entries:
        party, _, rounds = entry.partition(":")
        if not party or not rounds.isdigit() or int(rounds) < 1:
            raise ComponentError(f"slow: '{entry}' is not of the form party:rounds, such as bank_c:3.")
        found.append((party, int(rounds)))
    return tuple(found)
