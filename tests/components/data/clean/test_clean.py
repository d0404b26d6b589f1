"""Cleaning does what its settings say, counts it, and can be repeated on other rows. pandas is the oracle."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from veilflow.components.data.apply import apply_rules
from veilflow.components.data.clean.bounds import outlier_bounds
from veilflow.components.data.clean.clean import clean
from veilflow.components.data.clean.spec import CleanSpec
from veilflow.components.errors import ComponentError

Result = tuple[pd.DataFrame, dict[str, Any], dict[str, Any]]


def _clean(frame: pd.DataFrame, **spec: Any) -> Result:
    ids = [name for name in frame if name == "id"]
    label = [name for name in frame if name == "y"]
    features = [name for name in frame if name not in ("id", "y")]
    return clean(frame, ids, features, label, CleanSpec(**spec))


GAPS = pd.DataFrame({"x": [1.0, np.nan, 3.0, 3.0, 9.0], "t": ["b", "a", None, "a", "b"], "y": [0, 1, 0, 1, 1]})


@pytest.mark.parametrize(
    ("how", "expected"), [("mean", 4.0), ("median", 3.0), ("most_frequent", 3.0), ("constant", -7.0)]
)
def test_gaps_are_filled_with_the_columns_own_statistic(how: str, expected: float):
    found, rule, counts = _clean(GAPS, missing=how, fill_number=-7.0, fill_text="none")
    assert found["x"].tolist() == [1, expected, 3, 3, 9]
    # text has no mean: the most frequent word, of equally frequent ones the first in the alphabet
    assert found["t"][2] == ("none" if how == "constant" else "a")
    assert counts["columns"]["x"] == {"infinite": 0, "outliers": 0, "missing": 1, "filled": 1}
    assert rule["columns"]["x"]["fill"] == expected


def test_rows_with_gaps_are_dropped_and_counted():
    found, _, counts = _clean(GAPS, missing="drop_rows")
    assert found["x"].tolist() == [1, 3, 9]
    assert (counts["rows_in"], counts["rows_with_gaps_dropped"], counts["rows"]) == (5, 2, 3)


def test_gaps_may_stay():
    found, _, counts = _clean(GAPS, missing="none")
    assert found["x"].isna().sum() == 1
    assert counts["columns"]["x"]["filled"] == 0


def test_one_column_may_be_treated_differently():
    found, _, _ = _clean(GAPS, missing="mean", missing_by_column={"t": "drop_rows"})
    assert found["x"].tolist() == [1, 4, 3, 9]


numbers = st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=40)


@given(numbers)
def test_bounds_are_those_of_the_textbook(values: list[float]):
    data = np.array(values)
    limits = {"quantile": 0.1, "zscore": 2.0, "iqr": 1.5}
    found = {method: outlier_bounds(data, method, **limits) for method in limits}
    series = pd.Series(data)
    if series.nunique() <= 2:
        assert set(found.values()) == {None}
        return
    assert found["quantile"] == pytest.approx(tuple(series.quantile([0.1, 0.9])), abs=1e-6)
    mean, deviation = series.mean(), series.std(ddof=0)
    assert found["zscore"] == pytest.approx((mean - 2 * deviation, mean + 2 * deviation), rel=1e-6, abs=1e-3)
    distance = stats.iqr(data)
    if distance == 0:
        assert found["iqr"] is None
    else:
        first, third = series.quantile([0.25, 0.75])
        assert found["iqr"] == pytest.approx((first - 1.5 * distance, third + 1.5 * distance), rel=1e-6, abs=1e-3)


@given(numbers, st.sampled_from(["quantile", "zscore", "iqr"]))
def test_clipped_values_lie_within_the_bounds_and_others_are_untouched(values: list[float], method: str):
    frame = pd.DataFrame({"x": values})
    found, rule, counts = _clean(frame, outliers=method)
    bounds = rule["columns"]["x"]["bounds"]
    if bounds is None:
        assert found["x"].tolist() == values
        return
    low, high = bounds
    outside = (frame["x"] < low) | (frame["x"] > high)
    assert found["x"].between(low, high).all()
    assert (found["x"][~outside] == frame["x"][~outside]).all()
    assert counts["columns"]["x"]["outliers"] == outside.sum()


def test_blanked_outliers_are_filled_from_the_rest():
    frame = pd.DataFrame({"x": [*range(1, 10), 1000.0]})
    found, _, counts = _clean(frame, outliers="iqr", outlier_action="blank", missing="mean")
    assert found["x"].iloc[-1] == pytest.approx(np.mean(range(1, 10)))
    assert counts["columns"]["x"] == {"infinite": 0, "outliers": 1, "missing": 1, "filled": 1}


@pytest.mark.parametrize("method", ["quantile", "zscore", "iqr"])
def test_a_rare_flag_is_no_outlier(method: str):
    frame = pd.DataFrame({"flag": [1] + [0] * 999})
    found, _, counts = _clean(frame, outliers=method)
    assert found["flag"].sum() == 1
    assert counts["columns"]["flag"]["outliers"] == 0


def test_infinity_counts_as_missing():
    found, _, counts = _clean(pd.DataFrame({"x": [1.0, np.inf, 3.0, -np.inf]}), missing="mean")
    assert found["x"].tolist() == [1, 2, 3, 2]
    assert counts["columns"]["x"]["infinite"] == 2


REPEATED = pd.DataFrame({"id": ["a", "b", "a", "a"], "x": [1, 2, 3, 3]})


def test_a_repeated_id_is_an_error_unless_told_otherwise():
    with pytest.raises(ComponentError, match=r"2 of 4 rows repeat an earlier id\. Set duplicates: first, last or keep"):
        _clean(REPEATED)


@pytest.mark.parametrize(("keep", "expected"), [("first", [1, 2]), ("last", [2, 3]), ("keep", [1, 2, 3, 3])])
def test_repeated_ids_are_resolved_and_counted(keep: str, expected: list[int]):
    found, _, counts = _clean(REPEATED, duplicates=keep)
    assert found["x"].tolist() == expected
    assert counts["repeated_ids"] == 2


def test_equal_rows_are_dropped_before_ids_are_looked_at():
    frame = pd.DataFrame({"id": ["a", "a", "b"], "x": [1, 1, 2]})
    found, _, counts = _clean(frame, equal_rows="drop", duplicates="error")
    assert found["id"].tolist() == ["a", "b"]
    assert counts["equal_rows"] == 1


def test_ids_and_labels_are_never_changed():
    frame = pd.DataFrame({"id": ["a", "b", "c"], "x": [1.0, 2.0, None], "y": [0, 0, 999]})
    found, rule, _ = _clean(frame, outliers="quantile", missing="constant")
    assert found[["id", "y"]].equals(frame[["id", "y"]])
    assert list(rule["columns"]) == ["x"]


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e3, 1e3), st.just(float("inf"))), min_size=3).filter(
        lambda v: any(x is not None and np.isfinite(x) for x in v)
    ),
    st.sampled_from(["quantile", "zscore", "iqr", "none"]),
    st.sampled_from(["clip", "blank"]),
    st.sampled_from(["mean", "median", "most_frequent", "constant"]),
)
def test_the_stored_rule_does_to_the_same_rows_what_cleaning_did(
    values: list[float | None], outliers: str, action: str, missing: str
):
    frame = pd.DataFrame({"x": pd.Series(values, dtype=float), "t": [None if v is None else "w" for v in values]})
    found, rule, _ = _clean(frame, outliers=outliers, outlier_action=action, missing=missing)
    again = apply_rules(frame, [json.loads(json.dumps(rule))])
    pd.testing.assert_frame_equal(again, found)


def test_the_rule_uses_the_fitted_rows_statistics_on_other_rows():
    _, rule, _ = _clean(pd.DataFrame({"x": [1.0, 2.0, 3.0]}), missing="mean")
    assert apply_rules(pd.DataFrame({"x": [None, 100.0]}), [rule])["x"].tolist() == [2.0, 100.0]


def test_a_rule_that_drops_rows_refuses_gaps_in_rows_that_must_stay():
    _, rule, _ = _clean(GAPS, missing="drop_rows")
    with pytest.raises(ComponentError, match="missing cells in x 1 of 1: the rule was fitted with drop_rows"):
        apply_rules(pd.DataFrame({"x": [np.nan], "t": ["a"]}), [rule])


@pytest.mark.parametrize(
    ("frame", "spec", "message"),
    [
        (pd.DataFrame({"x": [np.nan, np.nan]}), {}, "'x' has no value to fill gaps from"),
        (pd.DataFrame({"t": pd.Series([None, None], dtype=object)}), {}, "'t' has no text to fill gaps from"),
        (GAPS, {"missing_by_column": {"q": "mean"}}, "no column 'q'"),
        (GAPS, {"outliers_by_column": {"t": "iqr"}}, "'t' is text: it has no outliers"),
        (pd.DataFrame({"x": [np.nan], "z": [1.0]}), {"missing": "drop_rows"}, "none of the 1 rows is left"),
    ],
)
def test_what_cannot_be_cleaned_is_named(frame: pd.DataFrame, spec: dict[str, Any], message: str):
    with pytest.raises(ComponentError, match=message):
        _clean(frame, **spec)


def test_a_column_that_changed_its_kind_is_refused():
    _, rule, _ = _clean(GAPS)
    with pytest.raises(ComponentError, match="column 'x' was a number when the rule was fitted, and is text now"):
        apply_rules(GAPS.assign(x="SECRET"), [rule])
    with pytest.raises(ComponentError, match="the table has no column 'x'"):
        apply_rules(GAPS.drop(columns="x"), [rule])


def test_settings_that_remove_rows_are_known_by_name():
    assert CleanSpec().drops_rows == ()
    spec = CleanSpec(missing_by_column={"x": "drop_rows"}, duplicates="last", equal_rows="drop")
    assert spec.drops_rows == ("missing: drop_rows", "duplicates: last", "equal_rows: drop")


def test_the_source_is_not_changed():
    before = GAPS.copy(deep=True)
    _clean(GAPS, outliers="iqr", missing="mean")
    pd.testing.assert_frame_equal(GAPS, before)
