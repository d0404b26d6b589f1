"""A label that is not 0 and 1 is refused at its holder, with counts and with advice that works."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from veilflow.components.data.read.normalise import normalise
from veilflow.components.data.read.spec import ReadSpec
from veilflow.components.errors import ComponentError
from veilflow.components.training.labels import check_binary_label, require_number_label


@pytest.mark.parametrize("values", [[0, 1, 1], [0.0, 1.0, 1.0], [False, True, True], ["0", "1", "1"]])
@pytest.mark.parametrize("form", [pd.Series, np.array, pa.array])
def test_labels_become_zero_and_one(values: list, form) -> None:
    found = check_binary_label(form(values), "y")
    np.testing.assert_array_equal(found, np.array([0, 1, 1], np.float32))
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    "values, message",
    [
        ([0, 0, 0], r"holds one class only in 3 row\(s\)"),
        ([0, 1, np.nan], "is missing in 1 of 3 rows.*incomplete_rows: drop"),
        ([0, 1, 2], r"not 0 and 1: 3 distinct value\(s\) in 3 rows.*label_above: to a threshold"),
        ([1, 2, 2], r"2 distinct value\(s\).*label_above: to the lower of its two values"),
        ([-1, 1, 1], "label_above: to the lower of its two values"),
        ([0.2, 0.7, 0.4], "label_above: to a threshold"),
        (["yes", "no", "no"], r"cells read as yes and no: set types: \[y:bool\]"),
        (["Y", "N", "N"], r"set types: \[y:bool\]"),
        (["case", "control", "case"], "label_is: and the cell that means 1"),
    ],
)
def test_labels_of_another_kind_are_refused_without_their_values(values: list, message: str) -> None:
    with pytest.raises(ComponentError, match=message) as caught:
        check_binary_label(pd.Series(values), "y")
    assert not [word for word in ("yes", "case", "control", "-1", "0.2") if f"{word}'" in str(caught.value)]


@pytest.mark.parametrize(
    "values, setting",
    [
        (["Y", "N", "Y"], {"types": {"y": "bool"}}),
        (["true", "FALSE", "true"], {"types": {"y": "bool"}}),
        ([1, 2, 1], {"label_above": 1.0}),
        ([-1, 1, -1], {"label_above": -1.0}),
        ([0, 1, 2], {"label_is": "2"}),
        ([0.2, 0.7, 0.4], {"label_above": 0.5}),
        (["case", "control", "case"], {"label_is": "case"}),
    ],
)
def test_the_advice_works_in_read_table(values: list, setting: dict) -> None:
    table = pd.DataFrame({"x": [1, 2, 3], "y": values})
    with pytest.raises(ComponentError):
        check_binary_label(table["y"], "y")
    read, _ = normalise(table, ReadSpec(label="y", **setting), "'t'")
    assert set(check_binary_label(read["y"], "y")) == {0.0, 1.0}


def test_a_text_label_is_refused_by_its_public_type() -> None:
    with pytest.raises(ComponentError, match=r"label 'ill' at hospital is text.*types: \[ill:bool\].*label_is:"):
        require_number_label("hospital", "str", "ill")
    require_number_label("hospital", "int64", "ill")
