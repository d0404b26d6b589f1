import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.components.application.evaluate.scores import OneClassError, check_scores
from veilflow.components.errors import ComponentError


def columns(score: object, label: object) -> tuple[pd.Series, pd.Series]:
    return pd.Series(score, name="score"), pd.Series(label, name="sick")


@pytest.mark.parametrize(
    "score, label, message",
    [
        ([], [], "0 rows"),
        ([0.1, np.nan, np.nan], [0, 1, 1], r"2 of 3 values in score column 'score' are missing"),
        ([0.1, 0.2, 0.3], [0, None, 1], r"label 'sick' is missing in 1 of 3 rows"),
        ([0.1, np.inf], [0, 1], r"1 of 2 values in score column 'score' are infinite"),
        ([-0.1, 1.5, 0.3], [0, 1, 1], r"2 of 3 values in score column 'score' lie outside 0\.\.1.*logistic"),
        ([0.1, 0.2, 0.3], [1, 2, 1], r"label 'sick' is not 0 and 1: 2 distinct value\(s\).*label_above: to the lower"),
        ([0.1, 0.2], ["no", "yes"], r"its cells read as yes and no: set types: \[sick:bool\]"),
        (["a", "b"], [0, 1], r"score column 'score' is of type object"),
        ([0.1, 0.2], [1, 1], r"one class only \(2 positive, 0 negative rows\)"),
        ([0.1], [0], r"one class only \(0 positive, 1 negative rows\)"),
    ],
)
def test_the_message_names_the_column_and_counts(score: object, label: object, message: str) -> None:
    with pytest.raises(ComponentError, match=message):
        check_scores(*columns(score, label))


@given(st.lists(st.floats(1e3, 1e6), min_size=2, max_size=20))
def test_no_message_holds_a_value(values: list[float]) -> None:
    with pytest.raises(ComponentError, match="lie outside") as seen:
        check_scores(*columns(values, [0] * len(values)))
    assert not any(str(value) in str(seen.value) for value in values)


def test_one_class_is_an_error_of_its_own_because_its_counts_are_not_for_everybody() -> None:
    with pytest.raises(OneClassError, match="3 positive"):
        check_scores(*columns([0.1, 0.2, 0.3], [True, True, True]))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float32", "float64"])
def test_labels_of_any_numeric_type_are_read(dtype: str) -> None:
    checked = check_scores(*columns(np.array([0.5, 0.25], dtype=np.float32), np.array([1, 0]).astype(dtype)))
    assert checked.label.tolist() == [True, False]
    assert checked.score.dtype == np.float64
