"""Public settings of split training: safe to log, to hash and to store with the model."""

from dataclasses import asdict, dataclass
from typing import Any

from veilflow.components.errors import ComponentError

SUMMED = "summed"
PER_EXAMPLE = "per_example"
RELEASES = (SUMMED, PER_EXAMPLE)

BOTTOM_OPTIMISERS = ("adam", "sgd", "momentum")
TOP_OPTIMISERS = ("momentum", "adam")

MIN_DEVIATION = 2.0**-10
"""Noise below this would show the steps of the fixed point."""


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

    def check(self) -> None:
        """Refuse settings that contradict each other.

        Raises:
            ComponentError: see the message.
        """
        if self.batch < self.minimum_batch:
            raise ComponentError(
                f"batch_size is {self.batch}, below minimum_batch {self.minimum_batch}; raise one or lower the other."
            )
        if 0 < self.noise * self.clip < MIN_DEVIATION:
            raise ComponentError(
                f"noise x clip is {self.noise * self.clip:g}, too little for numbers with 18 fraction bits; "
                f"make it at least {MIN_DEVIATION:g}, or noise 0 to do without."
            )

    def to_json(self) -> dict[str, Any]:
        """For the bundle and the report."""
        return asdict(self)
