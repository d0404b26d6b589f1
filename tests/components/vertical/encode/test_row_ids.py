"""IDs beside images are the text that a table of the same IDs has."""

import numpy as np
import pytest

from veilflow.components.errors import ComponentError
from veilflow.components.vertical.encode.row_ids import row_ids


@pytest.mark.parametrize(
    "stored", [["13800000001", "7"], [13800000001, 7], [13800000001.0, 7.0], [b"13800000001", b"7"]]
)
def test_an_id_is_its_digits_in_every_type(stored):
    assert row_ids(np.array(stored), "person") == ["13800000001", "7"]


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ([2.0**53, 7.0], "of 2 IDs 0 are missing, and 1 are floats that have lost digits"),
        ([np.nan, 7.0], "of 2 IDs 1 are missing, and 0 are floats"),
        ([b"\xff", b"a"], "holds no IDs"),
        ([1j, 2j], "holds no IDs"),
    ],
)
def test_what_cannot_tell_rows_apart_is_refused(stored, message):
    with pytest.raises(ComponentError, match=message):
        row_ids(np.array(stored), "person")
