"""Public settings of split training: safe to log, to hash and to store with the model."""

from dataclasses import asdict, dataclass
from typing import Any

SUMMED = "summed"
PER_EXAMPLE = "per_example"
RELEASES = (SUMMED, PER_EXAMPLE)

BOTTOM_OPTIMISERS = ("adam", "sgd", "momentum")
TOP_OPTIMISERS = ("momentum", "adam")


@dataclass(frozen=True)
class Optimiser:
    """Name and learning rate; momentum (or Adam's first decay) is 0.9 everywhere."""

    name: str
    rate: float


@dataclass(frozen=True)
class Settings:
    """How a split model is trained."""

    release: str
    epochs: int
    batch: int
    """Aimed at; every batch of a run has the same size, near this one."""
    minimum_batch: int
    clip: float
    """L2 bound of one row's part in a bottom's gradient."""
    noise: float
    """Standard deviation of the Gaussian noise of each *other* data holder, in units of ``clip``."""
    bottom_optimiser: Optimiser
    top_optimiser: Optimiser
    patience: int = 0
    """Epochs without improvement after which training stops; 0: never."""
    checkpoint_every: int = 0
    """Epochs between checkpoints; 0: none."""

    def to_json(self) -> dict[str, Any]:
        """For the bundle and the report."""
        return asdict(self)
