"""Public settings of split training: safe to log, to hash and to store with the model."""

from dataclasses import asdict, dataclass
from typing import Any

from veilflow.components.errors import ComponentError
from veilflow.components.vertical.split.account import Spent, figure_deviation, loudness, noise_for, spent

SUMMED = "summed"
PER_EXAMPLE = "per_example"
RELEASES = (SUMMED, PER_EXAMPLE)

BOTTOM_OPTIMISERS = ("adam", "sgd", "momentum")
TOP_OPTIMISERS = ("momentum", "adam")

MIN_DEVIATION = 2.0**-10
"""Noise below this would show the steps of the fixed point."""

FROM_EPSILON = -1.0
"""As ``noise``: whatever epsilon asks for."""

EPSILON, DELTA = 4.0, 1e-5
"""Defaults. At this epsilon no attack on a single label has an area under its ROC curve above 0.75, whatever its owner
feeds; most stay near 0.5."""

MAX_DEVIATION = 900.0
"""Larger noise would not fit into 32 bits of the ring's steps (`noise.MAX_DEVIATION`)."""

TOO_LOUD = 2.0
"""From this `account.loudness` on, a training that was asked for an epsilon does not start."""


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
    """L2 bound of how a row's logit may depend on all parameters, bottoms and top together."""
    noise: float
    """Standard deviation of each data holder's Gaussian noise, in units of ``clip``; `FROM_EPSILON`, or 0: none."""
    bottom_optimiser: Optimiser
    top_optimiser: Optimiser
    patience: int = 0
    """Epochs without improvement after which training stops; 0: never."""
    checkpoint_every: int = 0
    """Epochs between checkpoints; 0: none."""
    epsilon: float = EPSILON
    """Of one label, where ``noise`` is derived from it."""
    delta: float = DELTA

    def check(self) -> None:
        """Refuse settings that contradict each other.

        Raises:
            ComponentError: see the message.
        """
        if self.batch < self.minimum_batch:
            raise ComponentError(
                f"batch_size is {self.batch}, below minimum_batch {self.minimum_batch}; raise one or lower the other."
            )
        if self.release != SUMMED:
            return
        if self.noise < 0 and self.noise != FROM_EPSILON:
            raise ComponentError(f"noise is {self.noise:g}; give it above 0, 0 for none, or -1 to follow epsilon.")
        deviation = self.multiplier() * self.clip
        if 0 < deviation < MIN_DEVIATION:
            raise ComponentError(
                f"noise x clip is {deviation:g}, too little for numbers with 18 fraction bits; "
                f"make it at least {MIN_DEVIATION:g}, or noise 0 to do without."
            )
        if max(deviation, figure_deviation(self.multiplier())) > MAX_DEVIATION:
            raise ComponentError(
                f"noise {self.multiplier():g} with clip {self.clip:g} is too much for the ring; lower clip or epochs, "
                "or raise epsilon. Where so much is needed, vertical/secret_train opens no gradients and needs none."
            )

    def multiplier(self) -> float:
        """The noise of each data holder in units of ``clip``.

        Raises:
            ComponentError: epsilon or delta is out of range.
        """
        return noise_for(self.epsilon, self.delta, self.epochs) if self.noise == FROM_EPSILON else self.noise

    def spent(self) -> Spent:
        """What a whole training costs, as epsilon."""
        return spent(self.multiplier(), self.epochs, self.delta)

    def check_size(self, rows: int, batch: int, holders: int, parameters: int) -> float:
        """Refuse a table that is too small for the epsilon asked for; the loudness of the noise otherwise.

        Args:
            batch: rows of each batch.
            parameters: of all bottoms and the top.

        Raises:
            ComponentError: the noise would drown what the rows say, or delta is too large for so many rows.
        """
        noise = self.multiplier()
        if noise and self.delta * rows >= 1:
            raise ComponentError(
                f"delta {self.delta:g} must be below 1 / {rows} rows, or a promise about all but delta says nothing; "
                f"set delta to {0.1 / rows:.0e}."
            )
        loud = loudness(noise, holders, parameters, batch, max(1, rows // batch))
        if self.noise == FROM_EPSILON and loud > TOO_LOUD:
            raise ComponentError(
                f"with epsilon {self.epsilon:g} the noise would be {loud:.1f} times as long as the longest gradient "
                f"that {rows} rows can make in an epoch, and the model worth nothing. Use vertical/secret_train, which "
                "opens no gradients; or fewer epochs, batch_size up to the number of rows, fewer units, a larger "
                "epsilon, or noise by hand."
            )
        return loud

    def to_json(self) -> dict[str, Any]:
        """For the bundle and the report."""
        return asdict(self)
