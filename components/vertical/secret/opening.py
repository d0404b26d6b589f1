"""The policy by which figures of a secret table are opened, and what all of a step's openings cost together. Light.

Rule     Nothing is opened over fewer than `MINIMUM_ROWS` people or `MINIMUM_CLASS` of a class; that is compared inside
         the SPU before anything else is opened. Where people are secret a noised count is compared, against so much
         more that fewer pass with at most `CHANCE` and `CLASS_CHANCE`.
Exact    Where who is in the table is known already (`SecretTable.opened_exactly`), the figures are exact means.
Noised   Everywhere else a figure is counts of people by class and score (`histogram`), with noise that the SPU's
         parties draw together (`privacy.shared_noise`); losses, accuracy and AUC are worked out from these counts
         alone, so they tell nothing more.
Budget   A person stands in one cell of each count, and is either trained on or held out. So the openings of either part
         share ``epsilon``: a fifth for the count per class, the rest evenly for the evaluations. Every opening of the
         step together is epsilon-differentially private for one person more or less, and 2 epsilon for another one in
         its place, or another label. Where how many people there are is known, a person's presence is the latter.
Limits   The model is not noised: how a row moved the model, and with it the others' scores, is not counted.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from veilflow.components.errors import ComponentError

MINIMUM_ROWS = 32
"""A figure over fewer people is not opened: it would say too much about each."""

MINIMUM_CLASS = 8
"""Nor one with fewer people of a class."""

DEFAULT_EPSILON = 2.0

LIFETIME_EPSILON = 20.0
"""Of all figures that one party was ever told about a holder's people."""

MAX_HIDDEN_EPSILON = 4.0
"""Above it the noise of a count is less than one person, and a hidden number would be all but known."""

CHANCE = 1e-4
"""With at most this chance fewer than `MINIMUM_ROWS` people pass, as noise is compared with, too."""

CLASS_CHANCE = 0.25
"""And fewer than `MINIMUM_CLASS` of a class; by Chernoff's bound, which is loose here: in truth 1 in 20 at most."""

OPENED_MODEL_TELLS = (
    "the parameters of a model are quotients of sums over the people in common, without noise: open_to would tell more "
    "of how many they are than the alignment lets be known. Leave open_to out and score with vertical/secret_predict, "
    "or set hide_count: no in the alignment."
)

PADDING_IS_NOT_SCORED = (
    "of this table nobody knows which rows are padding, and scores of padding would tell: set hide_count: rounded (or "
    "no) in the alignment, with protocol coordinator; or judge the model by test_fraction in vertical/secret_train."
)

SMALLEST_EPSILON = 0.001
"""Below it the noise of a count would be thousands of people."""

_FOR_CLASSES = Fraction(1, 5)
_LEAST_PER_EVALUATION = 0.02


def as_fraction(epsilon: float) -> Fraction:
    """A parameter as the fraction that people mean by it.

    Raises:
        ComponentError: it is no number, or below `SMALLEST_EPSILON`.
    """
    if not (math.isfinite(epsilon) and epsilon >= SMALLEST_EPSILON):
        raise ComponentError(f"epsilon is {epsilon:g} for one opening; it must be at least {SMALLEST_EPSILON:g}.")
    return Fraction(epsilon).limit_denominator(1_000_000)


@dataclass(frozen=True)
class FigureBudget:
    """How ``epsilon`` is divided over the openings of one step."""

    epsilon: float
    evaluations: int
    """How often the loss of rows trained on is estimated."""

    @property
    def whole(self) -> Fraction:
        """Of all openings of the step."""
        return as_fraction(self.epsilon)

    @property
    def classes(self) -> Fraction:
        """For the count of people per class, once for the rows trained on and once for those held out."""
        return self.whole * _FOR_CLASSES

    @property
    def train(self) -> Fraction:
        """For each evaluation of rows trained on."""
        return self.whole * (1 - _FOR_CLASSES) / max(1, self.evaluations)

    @property
    def test(self) -> Fraction:
        """For the evaluation of the rows held out."""
        return self.whole * (1 - _FOR_CLASSES)

    def check(self, hidden_count: bool) -> None:
        """Refuse what keeps no promise, or no use.

        Args:
            hidden_count: how many people are common is hidden, from somebody at least.

        Raises:
            ComponentError: see the message.
        """
        if hidden_count and self.epsilon > MAX_HIDDEN_EPSILON:
            raise ComponentError(
                f"epsilon {self.epsilon:g} would all but tell how many people are common, which the alignment hides; "
                f"set it to at most {MAX_HIDDEN_EPSILON:g}, or hide_count: no in the alignment."
            )
        if self.train < _LEAST_PER_EVALUATION:
            raise ComponentError(
                f"epsilon {self.epsilon:g} over {self.evaluations} evaluations leaves {float(self.train):.2g} for "
                "each, where noise is all that is left; raise evaluate_every (0: only after the last epoch) or epsilon."
            )


def evaluations_of(epochs: int, every: int) -> int:
    """How often rows trained on are evaluated: after every ``every`` epochs, and after the last."""
    return epochs // every + bool(epochs % every) if every else 1
