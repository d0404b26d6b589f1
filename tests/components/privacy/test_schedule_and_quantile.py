"""Public schedules, the paper's adaptive one, and the bound that follows a quantile."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.accountant import gaussian_epsilon
from veilflow.components.privacy.noise import gaussian
from veilflow.components.privacy.quantile import Quantile, paid, update_multiplier, vote
from veilflow.components.privacy.schedule import Schedule, round_up


def test_each_kind_says_what_its_name_says() -> None:
    assert Schedule("constant", 2.0).multipliers(3) == [2.0, 2.0, 2.0]
    up = Schedule("increasing", 1.0, 4.0, rounds=5).multipliers(7)
    assert up == sorted(up)
    assert (up[0], up[4], up[6]) == (1.0, 4.0, 4.0)
    assert Schedule("decreasing", 1.0, 4.0, rounds=5).multipliers(5) == up[4::-1]
    assert Schedule("by_round", by_round={0: 3.0, 2: 1.5}).multipliers(4) == [3.0, 3.0, 1.5, 1.5]


def test_the_first_round_has_a_floor() -> None:
    assert Schedule("increasing", 0.5, 4.0, rounds=5, floor=2.0).multipliers(2) == [2.0, round_up(0.5 * 8**0.25)]
    assert Schedule("adaptive", 0.5, 4.0, floor=2.0).multiplier(0) == 2.0


def test_the_adaptive_one_grows_as_the_noised_aggregate_shrinks() -> None:
    schedule = Schedule("adaptive", 1.0, 4.0)
    assert not schedule.public
    assert schedule.multiplier(1, [8.0]) == 1.0
    assert schedule.multiplier(2, [8.0, 2.0]) == 2.0
    assert schedule.multiplier(3, [8.0, 2.0, 0.01]) == 4.0
    assert schedule.multiplier(3, [8.0, float("nan"), 16.0]) == 1.0
    assert schedule.multipliers(3) == [1.0, 1.0, 1.0], "planned with the least noise it may use"


@given(st.floats(1e-6, 1e6))
def test_rounding_never_takes_noise_away(z: float) -> None:
    assert z * (1 - 1e-8) <= round_up(z) <= z * 1.011


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Schedule("random"), "no kind 'random'"),
        (lambda: Schedule("constant", 0.0), "positive and finite"),
        (lambda: Schedule("increasing", 4.0, 1.0), "exchange them"),
        (lambda: Schedule("by_round", by_round={1: 2.0}), "round 0"),
        (lambda: Quantile(target=1.0), "target must be in"),
        (lambda: update_multiplier(5.0, 4.0), "nothing is left"),
    ],
)
def test_impossible_settings_are_refused(make, words: str) -> None:
    with pytest.raises(ComponentError, match=words):
        make()


def test_the_count_is_paid_for() -> None:
    assert paid(1.0, 1.0) == pytest.approx(math.sqrt(0.5))
    assert update_multiplier(paid(1.3, 9.0), 9.0) == pytest.approx(1.3)
    assert gaussian_epsilon([1.3, 9.0], 1e-5) == pytest.approx(gaussian_epsilon([paid(1.3, 9.0)], 1e-5))


@pytest.mark.parametrize("start", [0.01, 100.0])
def test_the_bound_finds_the_quantile_of_the_norms(start: float) -> None:
    norms = np.random.default_rng(1).lognormal(0, 0.5, 200)
    rule, bound = Quantile(target=0.7, rate=0.3, multiplier=5.0), start
    for _ in range(150):
        noised = sum(vote(norm, bound) for norm in norms) + gaussian(1, rule.multiplier)[0]
        bound = rule.next_bound(bound, noised, norms.size)
    assert 0.6 < np.mean(norms <= bound) < 0.8


def test_a_bound_stays_in_its_range_whatever_the_noise() -> None:
    rule = Quantile(least=0.5, most=2.0, rate=10.0)
    assert rule.next_bound(1.0, 1e9, 10) == 0.5
    assert rule.next_bound(1.0, -1e9, 10) == 2.0
    assert vote(float("nan"), 1.0) == -1
