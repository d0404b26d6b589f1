"""Public settings of training inside the SPU: safe to log, to hash and to store with the model."""

from dataclasses import asdict, dataclass
from typing import Any

from veilflow.components.errors import ComponentError
from veilflow.components.vertical.secret.opening import DEFAULT_EPSILON, MINIMUM_ROWS, FigureBudget, evaluations_of

OPTIMISERS = ("sgd", "momentum", "adam")

EXACT, DEALT, AUTO = "exact", "dealt", "auto"
SIGMOIDS = (AUTO, DEALT, EXACT)

DEALT_RANGE = 56.0
"""Logits within which the dealt sigmoid is right (see `devices.dealt_sigmoid`)."""

RATE_UNIT = 2.0**-18
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
    evaluate_every: int = 0
    """Epochs between estimates of the training loss; 0: only after the last."""
    epsilon: float = DEFAULT_EPSILON
    """Of all figures, where people are secret (see `opening`)."""
    sigmoid: str = AUTO
    """``dealt`` (two rounds, ABY3, logits within 56), ``exact`` (about 33 rounds, any logit), or ``auto``: dealt for a
    logistic regression under ABY3, else exact."""

    def deals(self, logistic: bool, possible: bool) -> bool:
        """Is the dealt sigmoid used?

        Raises:
            ComponentError: it is asked for where it does not exist.
        """
        if self.sigmoid == DEALT and not possible:
            raise ComponentError("sigmoid: dealt needs an ABY3 SPU; use auto or exact.")
        return possible and (self.sigmoid == DEALT or (self.sigmoid == AUTO and logistic))

    @property
    def figures(self) -> FigureBudget:
        """How figures are opened where people are secret."""
        return FigureBudget(self.epsilon, evaluations_of(self.epochs, self.evaluate_every))

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
        if self.optimiser != "adam" and self.clip == 0 and self.rate / size < 16 * RATE_UNIT:
            raise ComponentError(
                f"learning_rate {self.rate:g} over batches of {size} rows is a factor of {self.rate / size:.2g}, too "
                f"small for 18 fraction bits; make it at least {16 * RATE_UNIT * size:.2g}, or the batch smaller."
            )
        if self.rate < 64 * RATE_UNIT:
            raise ComponentError(
                f"learning_rate {self.rate:g} is too small for 18 fraction bits; make it at least {64 * RATE_UNIT:.2g}."
            )

    def check_rows(self, train: int, test: int) -> None:
        """Refuse figures over too few rows; how many of the rows are people is compared inside the SPU (`figures`).

        Raises:
            ComponentError: see the message.
        """
        if train < MINIMUM_ROWS:
            raise ComponentError(
                f"{train} row(s) to train on are too few: a figure over less than {MINIMUM_ROWS} is not opened."
            )
        if 0 < test < MINIMUM_ROWS:
            raise ComponentError(
                f"test_fraction {self.test_fraction:g} holds out {test} row(s); a figure over less than {MINIMUM_ROWS} "
                "is not opened. Raise it, or set it to 0."
            )

    def to_json(self) -> dict[str, Any]:
        """For the model and the report."""
        return asdict(self)
