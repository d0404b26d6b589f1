"""Counts with noise: exact while secret, the stated law, and nobody sees them without."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from veilflow.components.alignment.anonymous import integer_noise, prg
from veilflow.components.alignment.anonymous.spu_compare import counting, protocol
from veilflow.components.errors import ComponentError

from .comparing import ComparingRecorder
from .recorder import Local, at_holders, holding, plan_of


def counted(overlap, noise, ranks=("a", "b", "c"), sizes=(300, 400)):
    a, b = sizes
    people = {"a": [f"p{i}" for i in range(a)], "b": [f"p{i}" for i in range(a - overlap, a - overlap + b)]}
    holdings = {party: holding(ids, np.zeros((len(ids), 0))) for party, ids in people.items()}
    recorder = ComparingRecorder(ranks)
    run = protocol.Comparison(recorder, plan_of(holdings, ranks, ""), recorder.note)
    drawn = {party: Local(party, number) for party, number in noise.items()}
    return recorder, run, counting.noised(run, at_holders(holdings), drawn)


@pytest.mark.parametrize("ranks", [("a", "b", "c"), ("b", "c", "a"), ("c", "b", "a")])
@pytest.mark.parametrize(("overlap", "noise"), [(0, (0, 0)), (300, (5, -2)), (17, (-40, 3)), (1, (1000, 0))])
def test_the_sum_of_count_and_noise_is_opened(ranks, overlap, noise):
    recorder, run, total = counted(overlap, dict(zip("ab", noise, strict=True)), ranks)
    assert counting.opened(run, total) == overlap + sum(noise)
    opened = [each for each in recorder.published if isinstance(each, dict) and isinstance(each["a"], int)]
    assert len(opened) == 1
    assert overlap not in opened[0].values(), "parts are masked"


@pytest.mark.parametrize(("threshold", "reached"), [(47, True), (48, False), (-5, True), (10**6, False)])
def test_a_threshold_opens_one_bit(threshold, reached):
    recorder, run, total = counted(50, {"a": -4, "b": 1})
    before = len(recorder.published)
    assert run.parties.at_least(total, threshold) is reached
    assert recorder.published[before:] == [reached]


def test_blocks_are_summed(monkeypatch):
    monkeypatch.setattr(protocol, "BATCH", 64)
    recorder, run, total = counted(123, {"a": 0, "b": 0})
    assert counting.opened(run, total) == 123
    assert len(recorder.comparisons) == 5


@pytest.mark.parametrize("epsilon", [Fraction(1, 2), Fraction(1), Fraction(3)])
def test_noise_has_the_discrete_laplace_law(epsilon):
    """And not a neighbouring one: the test tells twice the scale from the right one."""
    draws = Counter(integer_noise.discrete_laplace(epsilon) for _ in range(6000))

    def distance(rate):
        normal = (1 - np.exp(-rate)) / (1 + np.exp(-rate))
        numbers = [k for k in range(-60, 61) if 6000 * normal * np.exp(-rate * abs(k)) >= 5]
        expected = np.array([6000 * normal * np.exp(-rate * abs(k)) for k in numbers])
        seen = np.array([draws[k] for k in numbers])
        return ((seen - expected) ** 2 / expected).sum(), len(numbers)

    found, degrees = distance(float(epsilon))
    assert found < degrees + 6 * np.sqrt(2 * degrees)
    wrong, degrees = distance(float(epsilon) / 2)
    assert wrong > degrees + 6 * np.sqrt(2 * degrees)


@pytest.mark.parametrize("epsilon", [Fraction(1, 10), Fraction(1, 2), Fraction(2)])
@pytest.mark.parametrize("delta", [2.0**-20, 2.0**-40])
def test_bounded_noise_keeps_its_promise(epsilon, delta):
    bound = integer_noise.bound_for(epsilon, delta)
    sizes = np.arange(-bound, bound + 1)
    law = np.exp(-float(epsilon) * np.abs(sizes))
    law /= law.sum()
    here, there = np.append(law, 0), np.insert(law, 0, 0)  # a count and the next one
    excess = np.maximum(here - np.exp(float(epsilon)) * there, 0).sum()
    assert excess <= delta
    smaller = np.exp(-float(epsilon) * (bound - 1)) * (1 - np.exp(-float(epsilon))) / (1 + np.exp(-float(epsilon)))
    assert smaller > delta, "not larger than needed"
    assert all(abs(integer_noise.bounded_laplace(epsilon, 3)) <= 3 for _ in range(50))


@pytest.mark.parametrize("epsilon", [0.0, -1.0, float("nan"), float("inf"), 1e-9])
def test_an_epsilon_that_is_none_is_refused(epsilon):
    with pytest.raises(ComponentError, match=r"epsilon is .*; it must be"):
        integer_noise.discrete_laplace(integer_noise.exact(epsilon))


def test_the_two_holders_noise_is_masked_by_different_streams():
    """One stream for both would tell the third party how their noise differs."""
    recorder, _, _ = counted(10, {"a": 7, "b": 7})
    masked = [value for (_, value), label in zip(recorder.views["c"], recorder.labels["c"], strict=True)
              if label == "masked_noise"]  # fmt: skip
    assert len(masked) == 2
    assert masked[0] != masked[1]


def test_no_stream_masks_two_things(monkeypatch):
    """Every key is expanded once by each of its two ends, or once by its only one: never for a second message."""
    used, rows = Counter(), prg.rows

    def counting_rows(key, start, count, width):
        used[key] += 1
        return rows(key, start, count, width)

    monkeypatch.setattr(prg, "rows", counting_rows)
    monkeypatch.setattr(protocol, "BATCH", 128)
    counted(50, {"a": 1, "b": 2})
    assert len(used) > 20
    assert max(used.values()) == 2
    used.clear()
    people = {"a": [f"p{i}" for i in range(300)], "b": [f"p{i}" for i in range(250, 700)]}
    holdings = {party: holding(ids, np.ones((len(ids), 2))) for party, ids in people.items()}
    recorder = ComparingRecorder(("a", "b", "c"))
    protocol.align(recorder, at_holders(holdings), plan_of(holdings, recorder.ranks, ""), recorder.note)
    assert len(used) > 20
    assert max(used.values()) == 2
