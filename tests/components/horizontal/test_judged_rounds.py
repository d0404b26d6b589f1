"""From the first round on: an update against the reference rows does not count, a round that makes it worse neither."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from veilflow.components.horizontal.fedavg.client import make_client
from veilflow.components.horizontal.fedavg.judge import figures, reference_update
from veilflow.components.horizontal.fedavg.settings import Guard, ModelSpec, Weighting
from veilflow.components.horizontal.fedavg_train.standing import NONE_YET

from .one_process import EXACT, WIDTH, World, begin, counted, params

X = np.random.default_rng(4).normal(size=(200, WIDTH)).astype(np.float32)
REFERENCE = X, (X[:, 0] > 0).astype(np.float32)
SELDOM = Weighting(every=5)
"""Scores every five rounds; judged is in each."""
JUDGE = make_client(ModelSpec("logistic", ()), EXACT, REFERENCE, (WIDTH,), np.random.default_rng(0))


class Senders(World):
    """Clients that step where the reference rows point; in ``against`` (client, round) some go the other way."""

    def __init__(self, *against: tuple[str, int]) -> None:
        super().__init__()
        self.update = lambda party, number, vector: (
            (-40 if (party, number) in against else 1) * reference_update(JUDGE, vector)
        )


def loss(training: Any) -> float:
    return figures(JUDGE, params(training).astype(np.float32))["valid_loss"]


@pytest.mark.parametrize("bad", [0, 2])
def test_an_update_against_the_reference_rows_does_not_count_in_its_round_and_does_in_the_next(monkeypatch, bad):
    world = Senders(("c", bad))
    settings = replace(EXACT, guard=replace(EXACT.guard, least_cosine=0.0), weighting=SELDOM)
    training = begin(monkeypatch, settings, world, REFERENCE)
    for number in range(4):
        sound = "abd" if number == bad else "abcd"
        counted(training, world, number, dict.fromkeys(sound, number))
    assert training.standing.blamed == [(bad, "c", "against the direction of the reference rows")]


@pytest.mark.parametrize("bad", [0, 2])
def test_a_round_that_makes_it_worse_is_taken_back_with_all_that_follows_from_it(monkeypatch, bad):
    world = Senders(*((party, bad) for party in "abcd"))
    settings = replace(EXACT, guard=Guard(update_norm=100.0, bits=32, follow=2.0, veto=1e-6))
    training = begin(monkeypatch, settings, world, REFERENCE)
    assert training.standing.best_loss == NONE_YET
    for number in range(4):
        world.now = number
        before, bounds, last = params(training), training.standing.bounds, loss(training)
        told = training.round(number)
        assert told["valid_loss"] == pytest.approx(loss(training)), "of the model that is kept"
        if number == bad:
            assert (params(training) == before).all()
            assert training.standing.bounds == bounds
        else:
            assert loss(training) < last
        assert training.standing.best_loss == pytest.approx(loss(training))
    assert training.standing.blamed == [(bad, "unknown (no single update is seen)", "the loss rose: round taken back")]


@pytest.mark.parametrize("bad", [0, 2])
def test_whose_update_raised_the_loss_is_known_where_updates_are_seen(monkeypatch, bad):
    def sent(party: str, number: int, vector: np.ndarray) -> np.ndarray:
        own = 0.3 * np.eye(vector.size)["abcd".index(party)]
        return reference_update(JUDGE, vector) * (-40 if (party, number) == ("b", bad) else 1) + own

    settings = replace(EXACT, guard=replace(EXACT.guard, veto=0.1), weighting=replace(SELDOM, by="contribution"))
    world = World(update=sent)
    training = begin(monkeypatch, settings, world, REFERENCE)
    for number in range(bad + 1):
        world.now, before = number, params(training)
        training.round(number)
    assert (params(training) == before).all()
    assert training.standing.blamed == [(bad, "b", "the loss rose: round taken back")]
