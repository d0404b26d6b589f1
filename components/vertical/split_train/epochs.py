"""One epoch of split learning as a step of the common loop (`training.loop`). All of it is public."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.training.batches import epoch_order, order_token
from veilflow.components.training.loop import Course, State, Step
from veilflow.components.vertical.split.settings import Settings
from veilflow.components.vertical.split_train.begun import Begun

_REMEDY = "Scale the features (data/scale) or lower learning_rate and top_learning_rate."


class SplitTraining(Protocol):
    """What both releases offer."""

    def epoch(self, order: np.ndarray) -> dict[str, float]: ...

    def validate(self, data: Mapping[str, Any], rows: int) -> dict[str, float]: ...

    def state(self) -> State: ...

    def restore(self, state: Mapping[str, Mapping[str, Any]]) -> None: ...

    def model_sections(self) -> State: ...


@dataclass(frozen=True)
class Validation:
    """Rows that are not trained on: per data holder ``(x, label or None)`` at that party."""

    data: Mapping[str, Any]
    rows: int


def course_of(settings: Settings, holders: tuple[str, ...]) -> Course:
    """How long a training with ``settings`` goes on."""
    return Course(settings.epochs, settings.patience, settings.checkpoint_every, holders[0], "epoch", _REMEDY)


def epoch_step(
    training: SplitTraining,
    holders: tuple[str, ...],
    rows: int,
    validation: Validation | None,
    begun: Begun | None = None,
) -> Step:
    """A step that trains over all ``rows`` once, and then looks at the rows that are not trained on.

    Args:
        begun: where given, no more epochs are begun than it allows.
    """

    def step(done: int) -> dict[str, float] | None:
        if begun is not None and not begun.another(done):
            return None
        figures = training.epoch(_order(holders, rows))
        if validation is not None:
            figures |= training.validate(validation.data, validation.rows)
        return figures

    return step


def _order(holders: tuple[str, ...], rows: int) -> np.ndarray:
    """This epoch's order of rows: everybody adds randomness, so nobody chooses it. It is public."""
    tokens: dict[str, bytes] = publish({party: run_on(party, order_token) for party in holders})
    return epoch_order([tokens[party] for party in holders], rows)
