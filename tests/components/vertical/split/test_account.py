"""What is counted is what the accountant of federated averaging would say of the same releases, and no less."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.components.privacy.accountant import gaussian_epsilon
from veilflow.components.vertical.split.account import FIGURE, SLACK, loudness, noise_for, spent

DELTA = 1e-5


@given(st.floats(0.5, 50), st.integers(1, 100))
def test_a_run_costs_one_release_and_one_figure_an_epoch(noise: float, epochs: int) -> None:
    found = spent(noise, epochs, DELTA)
    figure = [FIGURE * noise / SLACK] * epochs
    label = gaussian_epsilon([*([noise / SLACK] * epochs), *figure], DELTA)
    record = gaussian_epsilon([*([noise / SLACK / 2] * epochs), *figure], DELTA)
    assert found.label == pytest.approx(label, rel=1e-6, abs=1e-6)
    assert found.record == pytest.approx(record, rel=1e-6, abs=1e-6)


@given(st.floats(0.1, 100), st.integers(1, 200))
def test_noise_for_an_epsilon_costs_that_epsilon_and_hardly_less(epsilon: float, epochs: int) -> None:
    found = spent(noise_for(epsilon, DELTA, epochs), epochs, DELTA)
    assert 0.99 * epsilon <= found.label <= epsilon * (1 + 1e-6)


def test_without_noise_there_is_no_epsilon() -> None:
    found = spent(0.0, 1, DELTA)
    assert math.isinf(found.label)
    assert found.in_words() == "NO noise, so no epsilon"


def test_noise_is_louder_in_small_batches_and_large_models() -> None:
    usual = loudness(4.0, 2, 1000, 500, 8)
    assert loudness(4.0, 2, 1000, 250, 16) > usual
    assert loudness(4.0, 2, 2000, 500, 8) > usual
    assert loudness(0.0, 2, 1000, 500, 8) == 0
