"""Federated averaging in one process, for tests: everything is real but the links, the clock and the local training.

Local devices call functions where they stand. What a client sends is for the test to say, and when it is done.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from veilflow.components.horizontal.fedavg.budget import multipliers
from veilflow.components.horizontal.fedavg.codec import mask_of, value_bound
from veilflow.components.horizontal.fedavg.settings import Guard, ModelSpec, Privacy, Settings
from veilflow.components.horizontal.fedavg_train import training as trainings
from veilflow.components.horizontal.fedavg_train import workforce
from veilflow.components.horizontal.fedavg_train.standing import Cast
from veilflow.components.privacy.secagg import secure_sum
from veilflow.components.privacy.secagg.backends import plain
from veilflow.components.privacy.secagg.secure_sum import SecureSum
from veilflow.components.privacy.secagg.settings import SumSettings

CLIENTS = ("a", "b", "c", "d")
WIDTH = 9
LOGISTIC = ModelSpec("logistic", ())
EXACT = Settings(
    9,
    privacy=Privacy("none"),
    guard=Guard(update_norm=100.0, bits=32, follow=0.0),
    secure_sum=SumSettings("plain"),
)
"""Updates are not rounded, to speak of."""


def anything(party: str, number: int, vector: np.ndarray) -> np.ndarray:
    """An update that nobody else could have made, nor in another round."""
    return np.random.default_rng([ord(party), number]).normal(size=vector.size)


@dataclass
class World:
    """The clock, who is late, and what everybody sends."""

    late: dict[tuple[str, int], int] = field(default_factory=dict)
    """(client, round in which it began) -> round in which it is done; others are done at once."""
    update: Callable[[str, int, np.ndarray], np.ndarray] = anything
    """(client, round, global model) -> what it sends."""
    now: int = 0
    begun: list[tuple[str, int]] = field(default_factory=list)
    updates: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)

    def learn(self, client: Any, vector: np.ndarray, *rest: Any) -> tuple[Any, np.ndarray, dict[str, float]]:
        """Stands in for the local training."""
        party = CLIENTS[int(client.data[0][0, 0])]
        self.begun.append((party, self.now))
        update = self.update(party, self.now, vector).astype(np.float32)
        self.updates[party, self.now] = update
        return client, update, {"loss": 1.0}


class Errands:
    """Stands in for `Errand`: works at once, but says so in the round that `World.late` tells."""

    world: World

    def __init__(self, work: Callable[[], Any]) -> None:
        self._done = work()
        began = self.world.begun[-1]
        self._when = self.world.late.get(began, began[1])

    def ready(self, seconds: float) -> bool:
        return self.world.now >= self._when

    def result(self) -> Any:
        assert self.ready(0)
        return self._done


def _here(party: str, fn: Callable[..., Any], *args: Any, returns: int = 1) -> Any:
    return fn(*args)


_LOCAL = {
    "run_on": _here,
    "publish": lambda values, what="": values,
    "send_to": lambda party, value, what="": value,
    "known": lambda held: next(iter(held.values())),
}


def begin(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, world: World, reference: Any = None, spec: ModelSpec = LOGISTIC
) -> Any:
    """A training of `CLIENTS` in this process; with ``reference`` rows the coordinator judges."""
    for module in (trainings, workforce, secure_sum, plain):
        for name in set(_LOCAL) & set(vars(module)):
            monkeypatch.setattr(module, name, _LOCAL[name])
    monkeypatch.setattr(trainings, "learn", world.learn)
    monkeypatch.setattr(workforce, "Errand", type("Here", (Errands,), {"world": world}))
    data = {p: (np.full((5, WIDTH), i, np.float32), np.ones(5, np.float32)) for i, p in enumerate(CLIENTS)}
    judge = "" if reference is None else "hub"
    cast = Cast(CLIENTS, "hub", judge, data, reference, dict.fromkeys(CLIENTS, 5), (WIDTH,))
    ctx, bound = SimpleNamespace(simulation=True), value_bound(settings, len(CLIENTS))

    def make_sum(size: int) -> SecureSum:
        return SecureSum(ctx, settings.secure_sum, CLIENTS, "hub", bound)

    noises = multipliers(settings, cast.rows)
    training = trainings.FedAvgTraining(cast, spec, settings, noises, make_sum, None)
    training.distribute()
    return training


def params(training: Any) -> np.ndarray:
    """The global model, which must be the same at everybody."""
    first, *others = (copy.params for copy in training._copies.values())
    assert all((copy == first).all() for copy in others)
    return first.astype(np.float64)


def counted(training: Any, world: World, number: int, present: dict[str, int]) -> dict[str, float]:
    """Run round ``number`` and compare the model after it with numpy's.

    Args:
        present: client -> the round in which it began what counts now.
    """
    world.now, before = number, params(training)
    figures: dict[str, float] = training.round(number)
    assert figures["clients"] == len(present)
    settings, seed = training._settings, bytes.fromhex(training.standing.seed)
    mean, total = np.zeros(before.size), 0.0
    for party, began in present.items():
        weight = (1 + number - began) ** -0.5
        mean, total = mean + weight * world.updates[party, began], total + weight
    if settings.compress.keep < 1:
        mask = mask_of(settings, before.size, seed, number, np.zeros(before.size), np.arange(before.size))
        mean[np.setdiff1d(np.arange(before.size), mask)] = 0.0
    np.testing.assert_allclose(params(training), before + mean / (total or 1.0), atol=2e-5)
    return figures
