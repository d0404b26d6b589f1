"""Shapley values, weights and the judging of updates."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.components.horizontal.fedavg.contribution import (
    alone,
    coalition_value,
    leave_one_out,
    monte_carlo,
    shapley,
    share_among_copies,
)
from veilflow.components.horizontal.fedavg.robust import blame, coordinate_median, faults
from veilflow.components.horizontal.fedavg.settings import Weighting
from veilflow.components.horizontal.fedavg.weights import bounded, remembered, starting

CLIENTS = ["a", "b", "c", "d"]


def game(seed: int):
    rng = np.random.default_rng(seed)
    worth = {frozenset(s): rng.normal() for k in range(1, 5) for s in itertools.combinations(CLIENTS, k)}
    worth[frozenset()] = 0.0
    return worth.__getitem__


def brute_force(clients, value):
    found = dict.fromkeys(clients, 0.0)
    for order in itertools.permutations(clients):
        some = frozenset()
        for client in order:
            found[client] += value(some | {client}) - value(some)
            some = some | {client}
    return {client: total / math.factorial(len(clients)) for client, total in found.items()}


@given(st.integers(0, 10_000))
def test_shapley_equals_the_mean_over_all_orders(seed):
    value = game(seed)
    found = shapley(CLIENTS, value)
    assert found == pytest.approx(brute_force(CLIENTS, value))
    assert sum(found.values()) == pytest.approx(value(frozenset(CLIENTS)))


def test_a_null_player_gets_nothing_and_equal_players_the_same():
    found = shapley(["a", "b", "null"], lambda s: float(len(s - {"null"})) ** 1.5)
    assert found["null"] == pytest.approx(0.0)
    assert found["a"] == pytest.approx(found["b"])


def test_monte_carlo_comes_near_the_exact_values():
    value = game(4)
    found = monte_carlo(CLIENTS, value, 3000, np.random.default_rng(0))
    for client, exact in shapley(CLIENTS, value).items():
        assert abs(found[client] - exact) < 0.1


def test_leaving_one_out_and_standing_alone():
    value = lambda s: {0: 0.0, 1: 1.0, 2: 3.0}[len(s)]  # noqa: E731
    assert leave_one_out(["a", "b"], value) == {"a": 2.0, "b": 2.0}
    assert alone(["a", "b"], value) == {"a": 1.0, "b": 1.0}


def quadratic(goal):
    return lambda point: float(np.sum((point - goal) ** 2))


def updates(**given):
    return {name: np.asarray(value, np.float32) for name, value in given.items()}


def test_honest_updates_beat_zero_flipped_and_unusable_ones():
    goal = np.array([1.0, 1.0, 0.0])
    found = updates(good=goal, fair=[0.8, 0.6, 0.2], zero=[0, 0, 0], flipped=-goal)
    scores = shapley(list(found), coalition_value(found, np.zeros(3), quadratic(goal)))
    assert scores["good"] > scores["fair"] > scores["zero"] > scores["flipped"]
    weights = bounded(scores, 0.05, 0.6)
    assert weights["flipped"] == pytest.approx(0.05)


def test_a_copied_update_earns_no_more_than_one():
    goal = np.array([1.0, 1.0, 0.0])
    found = updates(a=[1, 1, 0.1], copy=[1, 1, 0.1], b=[0.9, 1, -0.4])
    value = coalition_value(found, np.zeros(3), quadratic(goal))
    scores = share_among_copies(shapley(list(found), value), found)
    honest = {name: found[name] for name in ("a", "b")}
    two = shapley(list(honest), coalition_value(honest, np.zeros(3), quadratic(goal)))
    assert scores["a"] == pytest.approx(scores["copy"])
    assert scores["a"] + scores["copy"] <= two["a"]


def test_a_loss_that_is_no_number_is_the_worst_there_is():
    found = updates(a=[1.0], broken=[np.nan])
    value = coalition_value(found, np.zeros(1), quadratic(np.ones(1)))
    scores = shapley(list(found), value)
    assert scores["broken"] < 0 < value(frozenset({"a"}))
    assert math.isfinite(scores["a"])


@given(st.lists(st.one_of(st.floats(-5, 5), st.just(float("nan"))), min_size=2, max_size=6))
def test_weights_sum_to_one_and_keep_their_bounds_whatever_the_scores(scores):
    n = len(scores)
    low, high = 0.4 / n, min(1.0, 1.8 / n)
    found = bounded({str(i): score for i, score in enumerate(scores)}, low, high)
    assert sum(found.values()) == pytest.approx(1.0, abs=1e-9)
    assert all(low - 1e-9 <= weight <= high + 1e-9 for weight in found.values())


def test_an_inflated_size_changes_nothing_unless_sizes_are_asked_for_and_then_within_bounds():
    honest, liar = {"a": 100, "b": 100, "c": 100}, {"a": 100, "b": 100, "c": 10_000_000}
    for by in ("equal", "contribution"):
        assert starting(honest, by, Weighting(by)) == starting(liar, by, Weighting(by))
    assert starting(liar, "size", Weighting("size", largest=0.6))["c"] == pytest.approx(0.6)


def test_a_client_that_turns_bad_loses_its_weight_within_three_scorings():
    memory: dict[str, float] = {}
    for _ in range(4):
        memory = remembered(memory, {"a": 1.0, "b": 1.0, "c": 1.0}, 0.5)
    for _ in range(3):
        memory = remembered(memory, {"a": 1.0, "b": 1.0, "c": -1.0}, 0.5)
    assert bounded(memory, 0.05, 0.6)["c"] == pytest.approx(0.05)


def test_faults_name_each_kind_and_spare_the_honest():
    honest = {"a": [1.0, 0.9, 0.0], "b": [0.8, 1.0, 0.1]}
    found = updates(**honest, flipped=[-1, -1, 0], zero=[0, 0, 0], huge=[50, 50, 0], broken=[np.nan, 1, 1])
    assert faults(found, dict.fromkeys(found, 10.0), 0.0) == {
        "flipped": "against the direction of the others",
        "zero": "all zeros",
        "huge": "longer than the bound",
        "broken": "entries that are not finite",
    }


def test_one_of_three_cannot_move_the_median_beyond_the_other_two():
    found = updates(a=[1, 2], b=[2, 1], liar=[1e6, -1e6])
    median = coordinate_median(found)
    assert (median >= [1, 1]).all()
    assert (median <= [2, 2]).all()


def test_the_culprit_of_a_bad_round_is_found_by_leaving_it_out():
    goal = np.ones(2)
    found = updates(a=[1, 0.9], b=[0.9, 1], bad=[-9, -9])
    assert blame(found, np.zeros(2), quadratic(goal))[0] == "bad"


def test_zeros_on_a_grid_too_coarse_to_show_anybody_are_nobodys_fault():
    found = updates(a=[0.1, 0], b=[0, 0.1], zero=[0, 0])
    bounds = dict.fromkeys(found, 10.0)
    assert faults(found, bounds, -1.0, None, dict.fromkeys(found, 0.01)) == {}
    assert faults(found, bounds, -1.0, None, dict.fromkeys(found, 0.0001)) == {"zero": "all zeros"}


def test_copies_are_known_by_what_rounding_leaves_of_them():
    rng = np.random.default_rng(5)
    one, step = rng.normal(size=400), 1.0  # the grid is as coarse as the update
    rounded = {name: np.floor(one + rng.random(400)) for name in ("a", "copy")}
    rounded["honest"] = np.floor(rng.normal(size=400) + rng.random(400))
    scores = share_among_copies(
        dict.fromkeys(rounded, 1.0), rounded, rounding=dict.fromkeys(rounded, 400 * step**2 / 4)
    )
    assert scores == {"a": 0.5, "copy": 0.5, "honest": 1.0}


def test_one_liar_among_three_blackens_nobody_where_a_reference_is_known():
    goal = np.array([1.0, 0.2, 0.0])
    found = updates(a=[1, 0, 0.3], b=[1, 0.4, -0.3], liar=-3 * goal)
    bounds = dict.fromkeys(found, 10.0)
    assert faults(found, bounds, 0.0, goal) == {"liar": "against the direction of the reference rows"}
