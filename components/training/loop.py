"""Epochs or rounds, early stopping, checkpoints: what is the same in every training. All of it is public."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.errors import ComponentError
from veilflow.components.training.checkpoints import Checkpoints
from veilflow.components.training.history import History

State = dict[str, dict[str, Any]]
"""Section -> party -> part, as device objects."""

_BEST = "best "
_ASTRAY = 1e4


class Training(Protocol):
    """What can be stopped, stored and taken up again."""

    def state(self) -> State: ...

    def restore(self, state: Mapping[str, Mapping[str, Any]]) -> None: ...


@dataclass(frozen=True)
class Course:
    """How long a training goes on.

    Args:
        steps: epochs or rounds.
        patience: steps without a better loss after which it ends; 0: it never does.
        checkpoint_every: steps between two checkpoints.
        first: a party; it draws the random name of the run.
        unit: ``epoch`` or ``round``, for messages.
        remedy: what the user can do where figures run away.
    """

    steps: int
    patience: int
    checkpoint_every: int
    first: str
    unit: str
    remedy: str


Step = Callable[[int], dict[str, float] | None]
"""(steps done) -> the public figures of the next one; None: there cannot be another, and the training ends"""
Tell = Callable[[int, Mapping[str, float]], None]
"""(steps done, the last one's figures)"""


def train(
    training: Training, step: Step, course: Course, checkpoints: Checkpoints | None, tell: Tell
) -> tuple[History, str]:
    """Run all steps; then ``training`` holds the best step's state if ``patience`` is set, else the last's.

    Returns:
        The public history, and the random name of this training run.

    Raises:
        ComponentError: a figure is not finite, or beyond reason.
    """
    run = _resumed(training, course, checkpoints) or _Run(publish(run_on(course.first, secrets.token_hex, 16)))
    history = run.history
    while len(history.rows) < course.steps and not history.exhausted(course.patience):
        figures = step(len(history.rows))
        if figures is None:
            break
        _require_finite(figures, len(history.rows) + 1, course)
        history.add(figures)
        tell(len(history.rows), figures)
        if course.patience and history.improved():
            run.best = training.state()
        over = len(history.rows) == course.steps or history.exhausted(course.patience)
        # Not of the last step: an attempt that goes on from there would do nothing, and have nothing to show for it.
        if checkpoints and not over and len(history.rows) % course.checkpoint_every == 0:
            checkpoints.save(len(history.rows), run.identity, run.stored(training.state()), history.rows)
    if course.patience and not history.improved():
        training.restore(run.best)
    return history, run.identity


@dataclass
class _Run:
    """What a training run has besides the state of its model."""

    identity: str
    history: History = field(default_factory=History)
    best: State = field(default_factory=dict)
    """The state after the best step so far; kept only where ``patience`` is set."""

    def stored(self, state: State) -> State:
        """Sections of a checkpoint."""
        return state | {f"{_BEST}{name}": parts for name, parts in self.best.items()}


def _resumed(training: Training, course: Course, checkpoints: Checkpoints | None) -> _Run | None:
    """The run that an earlier attempt left behind, with ``training`` set back to its last common checkpoint."""
    found = checkpoints.last_common() if checkpoints else None
    if checkpoints is None or found is None:
        return None
    done, identity = found
    sections = {name: list(parts) for name, parts in training.state().items()}
    best = {f"{_BEST}{name}": parties for name, parties in sections.items()} if course.patience else {}
    stored, rows = checkpoints.load(done, sections | best)
    training.restore({name: stored[name] for name in sections})
    return _Run(identity, History(rows), {name.removeprefix(_BEST): stored[name] for name in best})


def _require_finite(figures: Mapping[str, float], number: int, course: Course) -> None:
    wrong = [name for name, value in figures.items() if not np.isfinite(value) or abs(value) > _ASTRAY]
    if wrong:
        raise ComponentError(
            f"training went astray in {course.unit} {number}: {', '.join(wrong)} is no sensible number. {course.remedy}"
        )
