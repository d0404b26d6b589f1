"""Rounds, early stopping, checkpoints. All of it is public."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg.settings import Settings
from veilflow.components.horizontal.fedavg_train.training import FedAvgTraining
from veilflow.components.vertical.split.history import History
from veilflow.components.vertical.split_train.checkpoints import Checkpoints

Tell = Callable[[int, Mapping[str, float]], None]
"""(rounds done, this round's figures)"""

_BEST = "best "


@dataclass
class _Run:
    identity: str
    history: History = field(default_factory=History)
    best: dict[str, dict[str, Any]] = field(default_factory=dict)

    def stored(self, state: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return state | {f"{_BEST}{name}": parts for name, parts in self.best.items()}


def train(
    training: FedAvgTraining, settings: Settings, first: str, checkpoints: Checkpoints | None, tell: Tell
) -> tuple[History, str]:
    """Run all rounds; then ``training`` holds the best round's model if ``patience`` is set, else the last's.

    Args:
        first: a party; it draws the random name of this training run.
    """
    run = _resumed(training, settings, checkpoints) or _Run(publish(run_on(first, secrets.token_hex, 16)))
    history = run.history
    while len(history.rows) < settings.rounds and not history.exhausted(settings.patience):
        figures = training.round(len(history.rows))
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


def _resumed(training: FedAvgTraining, settings: Settings, checkpoints: Checkpoints | None) -> _Run | None:
    found = checkpoints.last_common() if checkpoints else None
    if checkpoints is None or found is None:
        return None
    done, identity = found
    sections = {name: list(parts) for name, parts in training.state().items()}
    best = {f"{_BEST}{name}": parties for name, parties in sections.items()} if settings.patience else {}
    stored, rows = checkpoints.load(done, sections | best)
    training.restore({name: stored[name] for name in sections})
    return _Run(identity, History(rows), {name.removeprefix(_BEST): stored[name] for name in best})


def _require_finite(figures: Mapping[str, float], number: int) -> None:
    wrong = [name for name, value in figures.items() if not np.isfinite(value) or abs(value) > 1e4]
    if wrong:
        raise ComponentError(
            f"training went astray in round {number}: {', '.join(wrong)} is no sensible number. Scale the features "
            "(data/federated_stats) or lower learning_rate."
        )
