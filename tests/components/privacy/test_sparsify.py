"""Masks are common and public; error feedback sees noised values only and loses nothing."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from veilflow.components.errors import ComponentError
from veilflow.components.privacy import sparsify
from veilflow.components.privacy.sparsify import Feedback, largest_mask, mixed_mask, random_mask, row_mask, scatter


@given(st.binary(min_size=1, max_size=20), st.integers(0, 99), st.integers(1, 300), st.data())
def test_all_clients_draw_the_same_mask_of_the_right_size(seed, round, size, data) -> None:
    keep = data.draw(st.integers(1, size))
    mask = random_mask(seed, round, size, keep)
    assert (mask == random_mask(seed, round, size, keep)).all()
    assert len(set(mask.tolist())) == keep
    assert (np.diff(mask) > 0).all()
    assert 0 <= mask[0] <= mask[-1] < size


def test_every_coordinate_is_as_likely_and_rounds_differ() -> None:
    counts = np.zeros(50)
    for round in range(2000):
        counts[random_mask(b"job", round, 50, 10)] += 1
    assert stats.chisquare(counts).pvalue > 1e-9
    assert (random_mask(b"job", 0, 1000, 100) != random_mask(b"job", 1, 1000, 100)).any()
    assert (random_mask(b"job", 0, 1000, 100) != random_mask(b"other", 0, 1000, 100)).any()


def test_the_largest_of_the_noised_aggregate_and_some_others() -> None:
    noised = np.array([0.1, -5.0, 0.0, 3.0, -0.2, 0.05])
    assert largest_mask(noised, 2).tolist() == [1, 3]
    mixed = mixed_mask(noised, b"s", 0, 4, 0.5)
    assert {1, 3} <= set(mixed.tolist())
    assert len(set(mixed.tolist())) == 4
    assert scatter(np.array([7.0, 8.0]), np.array([1, 3]), 5).tolist() == [0, 7, 0, 8, 0]


@given(st.lists(st.lists(st.floats(-10, 10), min_size=8, max_size=8), min_size=1, max_size=6))
def test_what_is_not_applied_is_kept_for_later(rounds) -> None:
    feedback, applied = Feedback(8), np.zeros(8)
    for noised in rounds:
        applied += feedback.step(np.array(noised), np.arange(8), 3)
    np.testing.assert_allclose(applied + feedback.memory, np.sum(rounds, axis=0), atol=1e-9)


def test_a_memory_can_be_capped() -> None:
    feedback = Feedback(4, cap=1.0)
    for _ in range(20):
        feedback.step(np.array([1.0, 0.9, 0.8, 0.7]), np.arange(4), 1)
        assert np.linalg.norm(feedback.memory) <= 1.0 + 1e-12


def test_the_baseline_says_that_it_leaks() -> None:
    assert "leaks" in (inspect.getdoc(sparsify.own_largest) or "")


def test_impossible_masks_are_refused() -> None:
    with pytest.raises(ComponentError, match="11 of 10 coordinates"):
        random_mask(b"s", 0, 10, 11)
    with pytest.raises(ComponentError, match="0 of 10 coordinates"):
        largest_mask(np.zeros(10), 0)


@given(st.lists(st.integers(1, 70), min_size=1, max_size=20), st.data())
def test_rows_are_whole_but_for_one_and_the_same_for_everybody(lengths, data):
    rows = np.repeat(np.arange(len(lengths)), lengths)
    keep = data.draw(st.integers(1, rows.size))
    found = row_mask(b"seed", 3, rows, keep)
    assert len(set(found)) == len(found) == keep
    assert 0 <= found.min() <= found.max() < rows.size
    np.testing.assert_array_equal(found, row_mask(b"seed", 3, rows, keep))
    counts = np.bincount(rows[found], minlength=len(lengths))
    assert ((counts > 0) & (counts < lengths)).sum() <= 1, "only the last row is cut"


def test_every_row_has_its_turn():
    rows = np.repeat(np.arange(30), [64] * 5 + [16] * 20 + [1] * 5)
    size, keep = rows.size, round(0.4 * rows.size)
    taken = sum(np.bincount(row_mask(b"seed", number, rows, keep), minlength=size) for number in range(400))
    assert taken.min() > 400 * 0.4 - 60
    assert taken.max() < 400 * 0.4 + 60
