"""Public settings of training inside the SPU: safe to log, to hash and to store with the model."""

from dataclasses import asdict, dataclass
from typing import Any

from veilflow.components.errors import ComponentError

OPTIMISERS = ("sgd", "momentum", "adam")

MAX_RATE_STEPS = 2.0**-18
"""The smallest factor that 18 fraction bits can hold."""


@dataclass(frozen=True)
class Settings:
    """How a secret model is trained."""

    epochs: int
    batch: int
    """Aimed at; every batch of a run has the same size, near this one."""
    optimiser: str
    rate: float
    clip: float = 1.0
    """Bound of the L2 norm of a batch's mean gradient; 0: none. Keeps numbers inside the fixed point, no privacy."""
    test_fraction: float = 0.0
    """Rows kept out of training, drawn by position."""
    evaluate_every: int = 1
    """Epochs between estimates of the training loss; 0: only after the last."""

    def check(self, batch: int | None = None) -> None:
        """Refuse settings that 18 fraction bits cannot hold.

        Args:
            batch: the size that batches really have, where known.

        Raises:
            ComponentError: see the message.
        """
        if self.optimiser not in OPTIMISERS:
            raise ComponentError(f"unknown optimiser '{self.optimiser}'; there is: {', '.join(OPTIMISERS)}.")
        size = batch or self.batch
        if self.optimiser != "adam" and self.clip == 0 and self.rate / size < 16 * MAX_RATE_STEPS:
            raise ComponentError(
                f"learning_rate {self.rate:g} over batches of {size} rows is a factor of {self.rate / size:.2g}, too "
                f"small for 18 fraction bits; make it at least {16 * MAX_RATE_STEPS * size:.2g}, or the batch smaller."
            )
        if self.rate < 64 * MAX_RATE_STEPS:
            raise ComponentError(
                f"learning_rate {self.rate:g} is too small for 18 fraction bits; make it at least "
                f"{64 * MAX_RATE_STEPS:.2g}."
            )

    def to_json(self) -> dict[str, Any]:
        """For the model and the report."""
        return asdict(self)
