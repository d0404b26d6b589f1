"""Epochs, early stopping, checkpoints: the part of training that is the same for both releases. All of it is public."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.errors import ComponentError
from veilflow.components.vertical.split.batches import epoch_order, order_token
from veilflow.components.vertical.split.history import History
from veilflow.components.vertical.split.settings import Settings
from veilflow.components.vertical.split_train.checkpoints import Checkpoints

State = dict[str, dict[str, Any]]
"""Section -> party -> part, as device objects."""


class Training(Protocol):
    """What both releases offer."""

    def epoch(self, order: np.ndarray) -> float: ...

    def validate(self, data: Mapping[str, Any], rows: int) -> dict[str, float]: ...

    def state(self) -> State: ...

    def restore(self, state: Mapping[str, Mapping[str, Any]]) -> None: ...

    def model_sections(self) -> State: ...


@dataclass(frozen=True)
class Validation:
    """Rows that are not trained on: per data holder ``(x, label or None)`` at that party."""

    data: Mapping[str, Any]
    rows: int


Tell = Callable[[int, Mapping[str, float]], None]
"""(epochs done, this epoch's figures)"""


def train(
    training: Training,
    settings: Settings,
    holders: tuple[str, ...],
    rows: int,
    validation: Validation | None,
    checkpoints: Checkpoints | None,
    tell: Tell,
) -> tuple[History, str]:
    """Run all epochs; then ``training`` holds the best epoch's parameters if ``patience`` is set, else the last's.

    Returns:
        The public history, and the random name of this training run.
    """
    run = _resumed(training, settings, checkpoints) or _Run(publish(run_on(holders[0], secrets.token_hex, 16)))
    history = run.history
    while len(history.rows) < settings.epochs and not history.exhausted(settings.patience):
        figures = {"train_loss": training.epoch(_order(holders, rows))}
        if validation is not None:
            figures |= training.validate(validation.data, validation.rows)
        _require_finite(figures, len(history.rows) + 1)
        history.add(figures)
        tell(len(history.rows), figures)
        if settings.patience and history.improved():
            run.best = training.state()
        if checkpoints and len(history.rows) % settings.checkpoint_every == 0:
            checkpoints.save(len(history.rows), run.identity, run.stored(training.state()), history.rows)
    if settings.patience and not history.improved():
        training.restore(run.best)
    return history, run.identity


_BEST = "best "


@dataclass
class _Run:
    """What a training run has besides the state of its model."""

    identity: str
    history: History = field(default_factory=History)
    best: State = field(default_factory=dict)
    """The state after the best epoch so far; kept only where ``patience`` is set."""

    def stored(self, state: State) -> State:
        """Sections of a checkpoint."""
        return state | {f"{_BEST}{name}": parts for name, parts in self.best.items()}


def _resumed(training: Training, settings: Settings, checkpoints: Checkpoints | None) -> _Run | None:
    """The run that an earlier attempt left behind, with ``training`` set back to its last common checkpoint."""
    found = checkpoints.last_common() if checkpoints else None
    if checkpoints is None or found is None:
        return None
    epoch, identity = found
    sections = {name: list(parts) for name, parts in training.state().items()}
    best = {f"{_BEST}{name}": parties for name, parties in sections.items()} if settings.patience else {}
    stored, rows = checkpoints.load(epoch, sections | best)
    training.restore({name: stored[name] for name in sections})
    return _Run(identity, History(rows), {name.removeprefix(_BEST): stored[name] for name in best})


def _order(holders: tuple[str, ...], rows: int) -> np.ndarray:
    """This epoch's order of rows: everybody adds randomness, so nobody chooses it. It is public."""
    tokens: dict[str, bytes] = publish({party: run_on(party, order_token) for party in holders})
    return epoch_order([tokens[party] for party in holders], rows)


def _require_finite(figures: Mapping[str, float], epoch: int) -> None:
    wrong = [name for name, value in figures.items() if not np.isfinite(value) or abs(value) > 1e4]
    if wrong:
        raise ComponentError(
            f"training went astray in epoch {epoch}: {', '.join(wrong)} is no sensible number. "
            "Scale the features (data/scale) or lower learning_rate and top_learning_rate."
        )
