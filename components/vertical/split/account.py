"""What split training may tell about one person, as epsilon; and the noise that keeps it within one. Light.

Two promises, each against all data holders but one, pooled, and for the one that is left (`programs` says why):

    label    of one person the label is the other one; everything else is the same.
    record   everything that this holder has about one person is something else.

A person's rows take part in one batch an epoch at most, and once in the epoch's figure. ``noise`` is the deviation of a
holder's noise in units of ``clip``: a label moves a sum by ``clip``, a record by twice that. A squared error is between
0 and 1, so either moves a figure by 1 at most. Validation rows are taken to be other people than those trained on.

Not counted: repeated trainings on the same people, rules and scales fitted before, hyper-parameters chosen by results,
a person with several rows. The whole model is a function of noised sums, so what is done with it later costs nothing
more for rows that were trained on; scores tell of the features they are computed from.
"""

import math
from dataclasses import dataclass

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.gaussian_dp import epsilon_of, mu_for

SLACK = 1.01
"""Row norms exceed ``clip`` by 0.3 % at most, errors 1 by 0.2 %, and sums are rounded: counted as one percent."""

FIGURE = 4.0
"""Noise of the training figure in units of the gradients' ``noise``: the figure costs a sixteenth of what they do."""


@dataclass(frozen=True)
class Spent:
    """Epsilon at ``delta``; infinite without noise."""

    label: float
    record: float
    delta: float

    def in_words(self) -> str:
        """For a table: what is promised."""
        if math.isinf(self.label):
            return "NO noise, so no epsilon"
        return f"epsilon {self.label:.3g} for a label, {self.record:.3g} for a record, at delta {self.delta:g}"


def spent(noise: float, epochs: int, delta: float) -> Spent:
    """What ``epochs`` epochs with this ``noise`` cost."""
    label, record = (epsilon_of(_mu(noise, epochs, moved), delta) for moved in (1.0, 2.0))
    return Spent(label, record, delta)


def noise_for(epsilon: float, delta: float, epochs: int) -> float:
    """The least noise, rounded up to 4 digits, with which a label costs at most ``epsilon``.

    Raises:
        ComponentError: epsilon or delta is out of range.
    """
    if not (epsilon > 0 and 0 < delta < 1):
        raise ComponentError(f"epsilon is {epsilon:g} and delta {delta:g}; epsilon must be above 0, delta in (0, 1).")
    exact = _mu(1.0, epochs, 1.0) / mu_for(epsilon, delta)
    unit = 10.0 ** (math.floor(math.log10(exact)) - 3)
    return float(f"{math.ceil(exact / unit) * unit:.4g}")


def figure_deviation(noise: float) -> float:
    """Of the noise that a holder adds to an epoch's sum of squared errors of the rows trained on."""
    return FIGURE * noise


def judged_deviation(noise: float) -> float:
    """The same for validation rows, which have nothing else to pay for."""
    return noise


def loudness(noise: float, holders: int, parameters: int, batch: int, batches: int) -> float:
    """Noise of an epoch's mean gradient over the longest that a gradient can be: both as L2 norms. 1 is very loud."""
    return noise * math.sqrt(holders * parameters / batches) / batch


def _mu(noise: float, epochs: int, moved: float) -> float:
    if noise == 0:
        return math.inf
    gradients, figures = moved * SLACK / noise, SLACK / (FIGURE * noise)
    return math.sqrt(epochs * (gradients**2 + figures**2))
