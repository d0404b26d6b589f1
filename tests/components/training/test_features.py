"""Every complaint about data names columns and counts, never a cell."""

import numpy as np
import pandas as pd
import pytest

from veilflow.components.errors import ComponentError
from veilflow.components.training.features import (
    feature_matrix,
    require_columns,
    require_numeric,
)


def test_columns_come_in_the_order_asked_for() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [3.5, 4.5], "c": [True, False]})
    found = feature_matrix(frame, ["c", "a", "b"])
    np.testing.assert_array_equal(found, np.array([[1, 1, 3.5], [0, 2, 4.5]], np.float32))
    assert found.dtype == np.float32


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_cells_that_are_no_numbers_are_counted_by_column(bad: float) -> None:
    frame = pd.DataFrame({"a": [1.0, bad, bad], "b": [1.0, 2.0, 3.0]})
    with pytest.raises(ComponentError, match=r"1 feature\(s\) have missing or infinite cells: a 2 of 3 rows"):
        feature_matrix(frame, ["a", "b"])


def test_a_column_without_any_value_is_named_as_such() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "empty": [np.nan, np.nan]})
    with pytest.raises(ComponentError, match=r"empty hold\(s\) no value in any of 2 rows; leave it out with 'drop'"):
        feature_matrix(frame, ["a", "empty"])


def test_missing_integers_are_counted_too() -> None:
    frame = pd.DataFrame({"a": pd.array([1, None, 3], dtype="Int64")})
    with pytest.raises(ComponentError, match="a 1 of 3 rows"):
        feature_matrix(frame, ["a"])


def test_values_too_large_for_single_precision_are_refused() -> None:
    with pytest.raises(ComponentError, match=r"a hold\(s\) values too large"):
        feature_matrix(pd.DataFrame({"a": [1e300, 1.0]}), ["a"])


def test_text_is_refused_by_type() -> None:
    with pytest.raises(ComponentError, match=r"city at insurer hold\(s\) text"):
        require_numeric("insurer", {"city": "str", "age": "int64"}, ["city", "age"])


def test_a_missing_column_is_named_with_what_there_is() -> None:
    with pytest.raises(ComponentError, match="trained on income at insurer, which the table lacks; it has 1 columns"):
        require_columns("insurer", ["age"], ["age", "income"])
