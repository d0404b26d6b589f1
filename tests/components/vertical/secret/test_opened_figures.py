"""What opened figures tell: whole numbers inside the SPU, useful estimates outside, and no more than epsilon says.

The attacks run on the pure functions that a run uses: noise, counts, and what is worked out from them.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.shared_noise import margin, noise_part
from veilflow.components.vertical.secret import histogram
from veilflow.components.vertical.secret.network import make_network
from veilflow.components.vertical.secret.opening import (
    CHANCE,
    CLASS_CHANCE,
    MINIMUM_CLASS,
    MINIMUM_ROWS,
    FigureBudget,
    as_fraction,
    evaluations_of,
)
from veilflow.components.vertical.split.model import Dense

OnSpu = Callable[[Callable[..., Any]], Callable[..., Any]]
PARTIES = 3


def cells_of(logits: np.ndarray, label: np.ndarray, between: tuple[float, ...]) -> np.ndarray:
    full = [-np.inf, *between, np.inf]
    return np.stack([np.histogram(logits[label == value], full)[0] for value in (0, 1)])


def noise(epsilon: Fraction, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(sum(noise_part(epsilon, PARTIES, shape) for _ in range(PARTIES)))


def opened(
    logits: np.ndarray, label: np.ndarray, budget: FigureBudget, cell: Fraction, people: int | None = None
) -> histogram.Counted:
    """What one evaluation opens, as `secret_train.figures` makes it."""
    between = histogram.edges(len(label), dealt=True)
    classes = np.array([(label == 0).sum(), (label == 1).sum()]) + noise(budget.classes, (2,))
    cells = cells_of(logits, label, between)
    cells = cells + noise(cell, cells.shape)
    return histogram.Counted(cells, classes, between, float(cell), float(budget.classes), PARTIES, people)


@pytest.mark.parametrize("counts_all", [True, False])
def test_counts_inside_the_spu_are_whole_numbers_over_people_alone_on_top_of_the_noise(
    on_spu: OnSpu, counts_all: bool
) -> None:
    rng, n = np.random.default_rng(1), 90
    x = rng.normal(0, 3, (n, 2)).astype(np.float32)
    y = (rng.random(n) < 0.4).astype(np.float32)
    member = (rng.random((n, 2)) < 0.8).astype(np.float32)
    valid = (np.arange(n) < 80).astype(np.int32)
    flat = np.array([1.0, -0.5, 0.1], np.float32)
    between = histogram.edges(n, dealt=True)
    counts = valid == 1 if counts_all else (valid == 1) & (member > 0).all(axis=1)
    logits = x @ flat[:2] + flat[2]
    wanted = cells_of(logits[counts], y[counts], between)
    begun, parts = noise(Fraction(1), wanted.shape), [f"n{party}" for party in range(3)]
    start = on_spu(histogram.start_program("cells", parts).fn)
    (cells,) = start(begun, 0 * begun, 0 * begun)
    network = make_network(Dense((), "relu"), 2)
    extra = () if counts_all else (member,)
    (cells,) = on_spu(histogram.cell_program(network, between, counts_all).fn)(flat, cells, x, y, valid, *extra)
    np.testing.assert_array_equal(cells, wanted + begun)
    zero = np.zeros(2, np.int32)
    (classes,) = on_spu(histogram.class_program(counts_all).fn)(zero, y, valid, *extra)
    np.testing.assert_array_equal(classes, wanted.sum(axis=1))


@pytest.mark.parametrize(
    "classes, verdict",
    [((40, 10), [True, True]), ((20, 11), [False, True]), ((40, 7), [True, False]), ((0, 3), [False, False])],
)
def test_the_minimum_is_of_people_and_of_each_class(
    on_spu: OnSpu, classes: tuple[int, int], verdict: list[bool]
) -> None:
    (found,) = on_spu(histogram.enough_program(MINIMUM_ROWS, MINIMUM_CLASS).fn)(np.array(classes, np.int32))
    assert [bool(each) for each in found] == verdict


def test_fewer_than_the_minimum_pass_once_in_ten_thousand_at_most() -> None:
    budget = FigureBudget(2.0, 1)
    least = MINIMUM_ROWS + margin(budget.classes, PARTIES, 2, CHANCE)
    people = np.array([20, 11])  # 31
    passed = sum(int((people + noise(budget.classes, (2,))).sum() >= least) for _ in range(3000))
    assert passed <= 2
    assert MINIMUM_CLASS < MINIMUM_ROWS < least < 3 * MINIMUM_ROWS


@pytest.mark.parametrize("epsilon", [0.1, 0.5, 2.0, 4.0])
def test_a_class_of_fewer_than_the_minimum_passes_hardly_ever_whatever_epsilon_is(epsilon: float) -> None:
    """The noised count was compared with 8: of a class of nobody 4 % passed at epsilon 2, and 45 % at 0.1."""
    budget = FigureBudget(epsilon, 1)
    least = MINIMUM_CLASS + margin(budget.classes, PARTIES, 1, CLASS_CHANCE)
    passed = (MINIMUM_CLASS - 1 + noise(budget.classes, (3000,)) >= least).mean()
    assert passed < 0.05
    assert least < 20 * (1 + 1 / float(budget.classes))


def scored(rng: np.random.Generator, people: int, apart: float) -> tuple[np.ndarray, np.ndarray]:
    label = (rng.random(people) < 0.37).astype(int)
    return rng.normal(0, 2, people) + apart * (2 * label - 1), label


@pytest.mark.parametrize("people, apart, auc, accuracy", [(150, 5.0, 0.02, 0.03), (4000, 1.0, 0.01, 0.01)])
def test_estimates_are_useful_at_the_default_epsilon(people: int, apart: float, auc: float, accuracy: float) -> None:
    rng, budget = np.random.default_rng(2), FigureBudget(2.0, 1)
    off = []
    for _ in range(40):
        logits, label = scored(rng, people, apart)
        found = opened(logits, label, budget, budget.test, people).figures()
        off.append((found["auc"] - roc_auc_score(label, logits), found["accuracy"] - np.mean((logits > 0) == label)))
    typical = np.abs(np.array(off)).mean(axis=0)
    assert typical[0] < auc, typical
    assert typical[1] < accuracy, typical


def test_numbers_out_of_range_are_found_and_a_single_outlier_is_not() -> None:
    budget, rng = FigureBudget(2.0, 1), np.random.default_rng(3)
    logits, label = scored(rng, 400, 2.0)
    one = np.where(np.arange(400) == 0, 1e4, logits)
    assert not any(opened(one, label, budget, budget.test, 400).out_of_range() for _ in range(40))
    many = np.where(np.arange(400) < 60, -1e4, logits)
    assert all(opened(many, label, budget, budget.test, 400).out_of_range() for _ in range(40))


def test_all_openings_of_a_person_add_up_to_epsilon() -> None:
    for epochs, every in ((20, 0), (20, 1), (7, 3)):
        budget = FigureBudget(1.5, evaluations_of(epochs, every))
        assert budget.classes + budget.evaluations * budget.train == Fraction(3, 2)
        assert budget.classes + budget.test == Fraction(3, 2)


def test_what_keeps_no_promise_is_refused() -> None:
    FigureBudget(2.0, 20).check(hidden_count=True)
    FigureBudget(8.0, 1).check(hidden_count=False)
    with pytest.raises(ComponentError, match="would all but tell how many people are common"):
        FigureBudget(8.0, 1).check(hidden_count=True)
    with pytest.raises(ComponentError, match="noise is all that is left"):
        FigureBudget(1.0, 200).check(hidden_count=False)


def logs_of_laplace(epsilon: float, distance: np.ndarray) -> np.ndarray:
    return -epsilon * np.abs(distance)


def test_the_number_of_people_is_found_no_better_than_epsilon_allows() -> None:
    """The best guess between n and n + 1, from all epochs' figures and the test's, by one who knows all else.

    Every opened figure is worked out from the counts, so an attack on these is the strongest there is. With exact
    figures the guess is always right.
    """
    rng, epsilon = np.random.default_rng(4), 1.0
    budget = FigureBudget(epsilon, 3)
    logits, label = scored(rng, 400, 2.0)
    between = histogram.edges(400, dealt=True)
    without, last = cells_of(logits[:-1], label[:-1], between), cells_of(logits[-1:], label[-1:], between)
    rounds, right = 400, 0
    for _ in range(rounds):
        there = int(rng.integers(2))
        ratio = 0.0
        counts = [(without.sum(axis=1), last.sum(axis=1), budget.classes)]
        counts += [(without, last, budget.train)] * budget.evaluations
        for base, person, each in counts:
            seen = base + there * person + noise(each, base.shape)
            rate = float(each)
            ratio += float((logs_of_laplace(rate, seen - base - person) - logs_of_laplace(rate, seen - base)).sum())
        right += int((ratio > 0) == there)
    bound = np.exp(epsilon) / (1 + np.exp(epsilon))
    assert right / rounds < bound + 4 * np.sqrt(0.25 / rounds)


def test_one_label_set_to_1_cannot_be_read_off_the_accuracy() -> None:
    """The label's holder says 0 of everybody but one person, and looks whether the figures are those of 0 alone."""
    rng, epsilon = np.random.default_rng(5), 1.0
    budget = FigureBudget(epsilon, 1)
    logits = rng.normal(-3, 1, 120)
    rounds, right = 400, 0
    for _ in range(rounds):
        there = int(rng.integers(2))
        label = np.zeros(120, int)
        label[7] = there
        found = opened(logits, label, budget, budget.train, 120)
        wrong = found.cells[1].sum() / 2 + found.classes[1]  # whoever is of class 1 at all
        right += int((wrong > 0.5) == there)
    bound = np.exp(2 * epsilon) / (1 + np.exp(2 * epsilon))
    assert right / rounds < bound
    # And with a single person of a class the minimum per class stops the run nearly always, before any figure.
    passed = [int(1 + noise(budget.classes, (1,))[0] >= MINIMUM_CLASS) for _ in range(400)]
    assert np.mean(passed) < 0.25


def test_an_epsilon_that_is_no_promise_is_refused() -> None:
    with pytest.raises(ComponentError, match="must be at least"):
        as_fraction(0.0)
    with pytest.raises(ComponentError, match="must be at least"):
        as_fraction(float("nan"))
