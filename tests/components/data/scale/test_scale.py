"""Scaling equals scikit-learn's on the fitted rows, and uses those rows' statistics on all others."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from veilflow.components.data.apply import apply_rules
from veilflow.components.data.scale.rule import apply_scale, constant_columns, fit_scale, stretched_columns
from veilflow.components.errors import ComponentError

columns = st.lists(st.one_of(st.floats(-1e6, 1e6, width=32), st.none()), min_size=2, max_size=30).filter(
    lambda values: any(value is not None for value in values)
)


@given(columns, st.sampled_from(["standard", "minmax"]))
def test_scaled_rows_equal_scikit_learns(values: list[float | None], method: str):
    frame = pd.DataFrame({"x": pd.Series(values, dtype=float)})
    rule = fit_scale(frame, ["x"], method, {})
    found = apply_scale(frame, rule)["x"].to_numpy()
    oracle = StandardScaler() if method == "standard" else MinMaxScaler()
    expected = oracle.fit_transform(frame.to_numpy())[:, 0]
    present = frame["x"].dropna()
    if present.std(ddof=0) > 1e-9 * max(1.0, present.abs().max()):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    elif present.nunique() == 1:
        assert constant_columns(rule) == ["x"]
        assert not np.nan_to_num(found).any()


def test_test_rows_are_scaled_with_the_train_rows_statistics():
    train, test = pd.DataFrame({"x": [0.0, 2.0, 4.0]}), pd.DataFrame({"x": [100.0, 2.0]})
    rule = fit_scale(train, ["x"], "minmax", {})
    assert apply_scale(test, rule)["x"].tolist() == [25.0, 0.5]
    # fitting on the test rows would give another answer, so this test can tell
    assert fit_scale(test, ["x"], "minmax", {}) != rule


@pytest.mark.parametrize("value", [0.0, 5.0, -1e300, 0.1 + 0.2])
@pytest.mark.parametrize("method", ["standard", "minmax"])
def test_a_constant_column_becomes_zero_also_where_it_is_no_longer_constant(value: float, method: str):
    rule = fit_scale(pd.DataFrame({"x": [value] * 7}), ["x"], method, {})
    assert constant_columns(rule) == ["x"]
    assert apply_scale(pd.DataFrame({"x": [value, 1.0, -3.0]}), rule)["x"].tolist() == [0.0, 0.0, 0.0]


def test_columns_may_be_scaled_differently_and_text_is_passed_over():
    frame = pd.DataFrame({"a": [0, 10], "b": [0, 10], "c": [0, 10], "t": ["x", "y"], "y": [0, 1]})
    rule = fit_scale(frame, ["a", "b", "c", "t"], "standard", {"b": "minmax", "c": "none"})
    found = apply_scale(frame, rule)
    assert found["a"].tolist() == [-1.0, 1.0]
    assert found["b"].tolist() == [0.0, 1.0]
    assert found[["c", "t", "y"]].equals(frame[["c", "t", "y"]])


def test_a_rule_survives_json_and_follows_another():
    frame = pd.DataFrame({"x": [1.0, 3.0]})
    first = fit_scale(frame, ["x"], "minmax", {})
    second = {"type": "scale", "version": 1, "columns": {"x": {"shift": 1.0, "factor": -1.0}}}
    found = apply_rules(frame, json.loads(json.dumps([first, second])))
    assert found["x"].tolist() == [1.0, 0.0]
    assert frame["x"].tolist() == [1.0, 3.0]


@pytest.mark.parametrize(
    ("frame", "by_column", "message"),
    [
        (pd.DataFrame({"x": [1.0, np.inf]}), {}, "column 'x' has 1 infinite numbers; run data/clean before"),
        (pd.DataFrame({"x": [np.nan, np.nan]}), {}, "column 'x' has no value to fit a scale on"),
        (pd.DataFrame({"x": ["a", "b"]}), {"x": "minmax"}, "text columns cannot be scaled: x"),
        (pd.DataFrame({"x": [1, 2]}), {"xx": "minmax"}, r"no column 'xx' \(did you mean 'x'\?\)"),
    ],
)
def test_what_cannot_be_scaled_is_named(frame: pd.DataFrame, by_column: dict[str, str], message: str):
    with pytest.raises(ComponentError, match=message):
        fit_scale(frame, ["x"], "standard", by_column)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([{"type": "bin"}], "unknown rule type 'bin'; there is: clean, scale"),
        ([{}], "unknown rule type 'None'"),
        ([{"type": "scale", "version": 2}], "scale rule has version 2, not 1; fit it again"),
        ([{"type": "scale", "version": 1, "columns": {"z": {}}}], "the table has no column 'z'"),
    ],
)
def test_a_rule_that_cannot_be_applied_is_named(rules: list[dict], message: str):
    with pytest.raises(ComponentError, match=message):
        apply_rules(pd.DataFrame({"x": [1]}), rules)


@pytest.mark.parametrize("method", ["standard", "minmax"])
def test_columns_whose_scale_a_few_values_decide_are_named(method: str):
    rng = np.random.default_rng(0)
    usual = pd.DataFrame(
        {
            "age": rng.normal(50, 10, 1500),
            "income": rng.lognormal(10, 1, 1500),
            "flag": (rng.random(1500) < 0.01).astype(float),
            "gaps": np.where(rng.random(1500) < 0.5, np.nan, rng.random(1500)),
            "constant": 1.0,
        }
    )

    def named(frame: pd.DataFrame) -> list[str]:
        rule = fit_scale(frame, list(frame), method, {})
        return stretched_columns(apply_scale(frame, rule), rule)

    assert named(usual) == []
    assert named(usual.assign(age=usual["age"].where(rng.random(1500) > 0.02, -999.0))) == ["age"]
    assert named(usual.assign(income=usual["income"].where(np.arange(1500) != 7, 1e9))) == ["income"]
