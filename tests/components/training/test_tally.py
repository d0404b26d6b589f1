"""A noise receipt is written for noise that was drawn, all of it and with the deviation that was asked for."""

import numpy as np
import pytest

from veilflow.components.privacy.noise import gaussian
from veilflow.components.training.tally import Tally

STEPS, LENGTH, DEVIATION = 20, 300, 2.0


def _tally(deviation: float = DEVIATION, vectors: int = 1, steps: int = STEPS) -> Tally:
    tally = Tally()
    for _ in range(steps):
        tally.fed([gaussian(LENGTH, deviation) for _ in range(vectors)])
        tally.released(48)
    return tally


def test_noise_as_asked_for_is_attested():
    assert all(_tally().drew(DEVIATION, 1) for _ in range(50))


@pytest.mark.parametrize("actual", [0.0, DEVIATION / 10, DEVIATION * 0.9, DEVIATION * 1.1])
def test_noise_of_another_deviation_is_not(actual: float):
    assert not _tally(actual).drew(DEVIATION, 1)


def test_a_batch_without_its_noise_is_noticed():
    tally = _tally()
    tally.fed([])
    tally.released(48)
    assert not tally.drew(DEVIATION, 1)


def test_a_party_that_owes_two_vectors_and_draws_one_is_noticed():
    assert not _tally(vectors=1).drew(DEVIATION, 2)


def test_a_party_that_owes_none_attests_none():
    tally = Tally()
    tally.released(48)
    assert tally.drew(DEVIATION, 0)
    tally.fed([np.ones(3, np.float32)])
    assert not tally.drew(DEVIATION, 0)


def test_the_smallest_batch_counts():
    tally = Tally()
    for rows in (48, 31, 50):
        tally.released(rows)
    assert (tally.smallest, tally.steps) == (31, 3)
