import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.components.application.evaluate.calibration import MIN_BIN_ROWS, calibration
from veilflow.components.application.evaluate.scores import check_scores


@given(st.integers(2, 500), st.integers(1, 30), st.sampled_from([1, 3, 20, 2**30]), st.integers(0, 2**32 - 1))
def test_bins_cover_all_rows_keep_ties_together_and_are_never_small(
    rows: int, bins: int, levels: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    score, label = rng.integers(0, levels + 1, rows) / levels, rng.random(rows) < 0.5
    label[0], label[-1] = True, False
    curve = calibration(check_scores(pd.Series(score), pd.Series(label)), bins)

    assert curve.rows.sum() == rows
    assert curve.rows.min() >= min(MIN_BIN_ROWS, rows)
    assert curve.rows.size <= bins
    assert (np.diff(curve.mean_score) > 0).all()
    np.testing.assert_allclose(curve.rows @ curve.mean_score, score.sum())
    np.testing.assert_allclose(curve.rows @ curve.positive_rate, label.sum())
    edges = np.cumsum(curve.rows)[:-1]
    rising = np.sort(score)
    assert (rising[edges] > rising[edges - 1]).all(), "a tie was torn apart"


def test_without_ties_the_curve_is_that_of_equal_groups() -> None:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"score": rng.random(1000)})
    frame["label"] = rng.random(1000) < frame.score
    curve = calibration(check_scores(frame.score, frame.label), 10)
    expected = frame.groupby(pd.qcut(frame.score, 10)).mean()
    assert curve.rows.tolist() == [100] * 10
    np.testing.assert_allclose(curve.mean_score, expected.score)
    np.testing.assert_allclose(curve.positive_rate, expected.label)


def test_three_rows_make_one_point() -> None:
    curve = calibration(check_scores(pd.Series([0.1, 0.4, 0.7]), pd.Series([0, 0, 1])), 10)
    assert curve.rows.tolist() == [3]
    assert curve.mean_score[0] == pytest.approx(0.4)
