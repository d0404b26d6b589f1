import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.components.application.evaluate.confusion import confusion
from veilflow.components.application.evaluate.ranking import ks, rank
from veilflow.components.application.evaluate.scores import Scores, check_scores
from veilflow.components.application.evaluate.threshold import ThresholdRule, choose_threshold, shortest_between


@st.composite
def scored(draw: st.DrawFn) -> Scores:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, levels = draw(st.integers(2, 120)), draw(st.sampled_from([1, 4, 50, 2**30]))
    label = rng.random(rows) < 0.4
    label[0], label[-1] = True, False
    return check_scores(pd.Series(rng.integers(0, levels + 1, rows) / levels), pd.Series(label))


def candidates(scores: Scores) -> list[float]:
    return sorted({0.0, *scores.score.tolist()})


@given(scored())
def test_f1_rule_finds_the_best_f1_of_all_thresholds(scores: Scores) -> None:
    chosen = choose_threshold(rank(scores), ThresholdRule("f1"))
    best = max(confusion(scores, each).f1 for each in candidates(scores))
    assert confusion(scores, chosen).f1 == pytest.approx(best)


@given(scored())
def test_youden_rule_finds_the_largest_gap(scores: Scores) -> None:
    found = confusion(scores, choose_threshold(rank(scores), ThresholdRule("youden")))
    best = max(confusion(scores, each).recall + confusion(scores, each).specificity - 1 for each in candidates(scores))
    assert found.recall + found.specificity - 1 == pytest.approx(best)
    assert best <= ks(rank(scores)) + 1e-12


@given(scored(), st.sampled_from([0.0, 0.1, 0.5, 0.7, 0.9, 1.0]))
def test_quantile_rule_puts_the_asked_share_below_the_line_if_any_threshold_does(scores: Scores, share: float) -> None:
    threshold = choose_threshold(rank(scores), ThresholdRule("quantile", share))
    below = np.mean(scores.score < threshold)
    reachable = [np.mean(scores.score < each) for each in candidates(scores)]
    enough = [each for each in reachable if each >= share - 1e-9]
    assert below == pytest.approx(min(enough) if enough else max(reachable))


def test_quantile_of_ten_distinct_scores_flags_the_top_tenth() -> None:
    scores = check_scores(pd.Series(np.arange(10) / 10), pd.Series([0, 1] * 5))
    for share, flagged in [(0.9, 1), (0.7, 3), (0.0, 10)]:
        threshold = choose_threshold(rank(scores), ThresholdRule("quantile", share))
        assert int(np.sum(scores.score >= threshold)) == flagged


def test_a_fixed_threshold_is_taken_as_it_is() -> None:
    scores = check_scores(pd.Series([0.2, 0.3]), pd.Series([0, 1]))
    assert choose_threshold(rank(scores), ThresholdRule("fixed", 0.3)) == 0.3


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_published_threshold_separates_the_same_rows(one: float, other: float) -> None:
    low, high = sorted((one, other))
    if low < high:
        assert low < shortest_between(low, high) <= high


def test_a_chosen_threshold_does_not_publish_a_score() -> None:
    rng = np.random.default_rng(3)
    label = rng.random(500) < 0.4
    scores = check_scores(pd.Series(np.clip(rng.normal(0.4 + 0.2 * label, 0.2), 0, 1)), pd.Series(label))
    for rule in ("youden", "f1"):
        threshold = choose_threshold(rank(scores), ThresholdRule(rule))
        assert threshold not in scores.score
        assert len(str(threshold)) <= 8
    assert shortest_between(0.4137, 0.4291) == 0.42
    assert shortest_between(0.97, 1.0) == 1.0
