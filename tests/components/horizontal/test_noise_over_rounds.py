"""Noise of whole updates follows its schedule, round by round, at every client: the sums show how long it is."""

from dataclasses import replace

import numpy as np
import pytest

from veilflow.components.horizontal.fedavg.settings import Guard, ModelSpec, Privacy

from .one_process import CLIENTS, EXACT, World, begin


def lengths(monkeypatch: pytest.MonkeyPatch, schedule: str) -> list[float]:
    """The norm of each round's mean, in units of a mean of four clients' noise of one bound per coordinate."""
    privacy = Privacy("client", noise=1.0, noise_last=4.0, epsilon=100.0, schedule=schedule)
    settings = replace(EXACT, rounds=3, privacy=privacy, guard=Guard(update_norm=1.0, bits=12))
    still = World(update=lambda party, number, vector: np.zeros(vector.size))
    training = begin(monkeypatch, settings, still, spec=ModelSpec("mlp", (80,)))
    found = [training.round(number)["update_norm"] for number in range(3)]
    assert training.noised == 3 * len(CLIENTS), "each client, in each round"
    return [each / (training.parameters / len(CLIENTS)) ** 0.5 for each in found]


def test_it_grows_or_shrinks_as_its_schedule_says(monkeypatch):
    up, down = (lengths(monkeypatch, schedule) for schedule in ("increasing", "decreasing"))
    assert up[0] == pytest.approx(1.0, rel=0.15)
    assert up[2] == pytest.approx(4.0, rel=0.15)
    assert up == sorted(up)
    assert down == pytest.approx(up[::-1], rel=0.25)
