"""Every figure against scikit-learn (KS against its definition), over random scores with many ties."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from veilflow.components.application.evaluate.calibration import brier, log_loss
from veilflow.components.application.evaluate.confusion import confusion
from veilflow.components.application.evaluate.ranking import MAX_ROC_POINTS, auc, ks, rank, roc
from veilflow.components.application.evaluate.scores import Scores, check_scores


@st.composite
def scored(draw: st.DrawFn, max_rows: int = 400) -> Scores:
    rows = draw(st.integers(2, max_rows))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([1, 2, 3, 10, 1000, 2**30]))
    score = rng.integers(0, levels + 1, rows) / levels
    label = rng.random(rows) < draw(st.sampled_from([0.05, 0.5, 0.9]))
    label[0], label[-1] = True, False
    return check_scores(pd.Series(score, name="score"), pd.Series(label, name="label"))


@given(scored())
def test_auc_counts_ties_one_half(scores: Scores) -> None:
    assert auc(rank(scores)) == pytest.approx(oracle.roc_auc_score(scores.label, scores.score), abs=1e-12)


@given(scored())
def test_ks_is_the_largest_gap_between_the_two_empirical_distributions(scores: Scores) -> None:
    at_or_below = scores.score[:, None] <= np.unique(scores.score)
    gaps = at_or_below[scores.label].mean(axis=0) - at_or_below[~scores.label].mean(axis=0)
    assert ks(rank(scores)) == pytest.approx(np.abs(gaps).max(), abs=1e-12)


@given(scored())
def test_brier_and_log_loss(scores: Scores) -> None:
    assert brier(scores) == pytest.approx(oracle.brier_score_loss(scores.label, scores.score), abs=1e-12)
    expected = oracle.log_loss(scores.label, scores.score, labels=[False, True])
    assert log_loss(scores) == pytest.approx(expected, rel=1e-9)


@given(scored(), st.sampled_from([0.0, 0.1, 0.5, 2 / 3, 1.0]))
def test_rates_at_a_threshold(scores: Scores, threshold: float) -> None:
    flagged = scores.score >= threshold
    found = confusion(scores, threshold)
    assert [[found.true_negative, found.false_positive], [found.false_negative, found.true_positive]] == (
        oracle.confusion_matrix(scores.label, flagged, labels=[False, True]).tolist()
    )
    assert found.accuracy == pytest.approx(oracle.accuracy_score(scores.label, flagged))
    assert found.f1 == pytest.approx(oracle.f1_score(scores.label, flagged, zero_division=0))
    assert found.recall == pytest.approx(oracle.recall_score(scores.label, flagged))
    assert found.specificity == pytest.approx(oracle.recall_score(scores.label, flagged, pos_label=False))
    precision = oracle.precision_score(scores.label, flagged, zero_division=np.nan)
    assert found.precision == pytest.approx(precision, nan_ok=True)


@given(scored())
def test_roc_is_scikit_learns_curve_without_the_points_on_straight_stretches(scores: Scores) -> None:
    fpr, tpr = roc(rank(scores), limit=10_000)
    full_fpr, full_tpr, _ = oracle.roc_curve(scores.label, scores.score, drop_intermediate=False)
    full = {(round(x, 9), round(y, 9)) for x, y in zip(full_fpr, full_tpr, strict=True)}
    assert {(round(x, 9), round(y, 9)) for x, y in zip(fpr, tpr, strict=True)} <= full
    assert oracle.auc(fpr, tpr) == pytest.approx(oracle.auc(full_fpr, full_tpr), abs=1e-12)
    turns = np.diff(fpr)[1:] * np.diff(tpr)[:-1] - np.diff(fpr)[:-1] * np.diff(tpr)[1:]
    assert (np.abs(turns) > 1e-12).all()


@settings(max_examples=30)
@given(scored(max_rows=5000))
def test_thinned_roc_keeps_its_ends_lies_on_the_curve_and_hardly_moves_the_area(scores: Scores) -> None:
    full_fpr, full_tpr = roc(rank(scores), limit=100_000)
    fpr, tpr = roc(rank(scores))
    assert fpr.size <= MAX_ROC_POINTS
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert set(zip(fpr, tpr, strict=True)) <= set(zip(full_fpr, full_tpr, strict=True))
    assert oracle.auc(fpr, tpr) == pytest.approx(auc(rank(scores)), abs=0.01)


def test_a_perfect_and_an_inverted_ranking() -> None:
    perfect = check_scores(pd.Series([0.1, 0.2, 0.8, 0.9]), pd.Series([0, 0, 1, 1]))
    inverted = check_scores(pd.Series([0.9, 0.8, 0.2, 0.1]), pd.Series([0, 0, 1, 1]))
    assert (auc(rank(perfect)), ks(rank(perfect))) == (1.0, 1.0)
    assert (auc(rank(inverted)), ks(rank(inverted))) == (0.0, 1.0)


def test_precision_is_undefined_when_nothing_is_flagged() -> None:
    scores = check_scores(pd.Series([0.1, 0.2]), pd.Series([0, 1]))
    assert np.isnan(confusion(scores, 0.5).precision)
    assert confusion(scores, 0.5).f1 == 0.0
