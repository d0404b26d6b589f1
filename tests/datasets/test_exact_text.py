"""One text for a value, however it is stored; what has lost digits is counted."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veilflow.datasets.errors import SourceError
from veilflow.datasets.exact_text import exact_text, is_inexact, text_of
from veilflow.datasets.sources import open_table
from veilflow.datasets.wanted import Wanted

PHONE = 13800000001


@pytest.mark.parametrize(
    "stored",
    [
        pa.array([PHONE]),
        pa.array([float(PHONE)]),
        pa.array([str(PHONE)]),
        pa.array([str(PHONE)], pa.large_string()),
        pa.array([decimal.Decimal(PHONE)]),
        pa.array([decimal.Decimal("13800000001.00")]),
        pa.array([str(PHONE)]).dictionary_encode(),
    ],
)
def test_a_phone_number_is_its_digits_in_every_type(stored):
    text, lost = exact_text(stored)
    assert (text.to_pylist(), lost) == ([str(PHONE)], 0)


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(), st.integers(-(2**53), 2**53).map(float)), max_size=20))
def test_columns_and_single_cells_give_the_same_and_numbers_come_back(values):
    text, lost = exact_text(pa.array(values, pa.float64()))
    assert lost == sum(is_inexact(value) for value in values)
    for value, cell in zip(values, text.to_pylist(), strict=True):
        if value is None or np.isnan(value) or is_inexact(value):
            assert cell is None
        else:
            assert cell == text_of(value)
            assert float(cell) == value


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (datetime.date(1990, 1, 2), "1990-01-02"),
        (pd.Timestamp("1990-01-02"), "1990-01-02"),
        (pd.Timestamp("1990-01-02 03:04:05"), "1990-01-02 03:04:05"),
        (decimal.Decimal("1.50"), "1.5"),
        (True, "true"),
        (float("nan"), None),
        (pd.NaT, None),
        (pd.NA, None),
    ],
)
def test_single_cells(cell, text):
    assert text_of(cell) == text


@pytest.mark.parametrize("kind, limit", [("float64", 2.0**53), ("float32", 2.0**24)])
def test_ids_beyond_what_a_float_holds_are_refused_with_their_number(tmp_path, kind, limit):
    frame = pd.DataFrame({"id": np.array([7, limit, 8, np.nan], kind), "x": [1, 2, 3, 4]})
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(SourceError, match="'id' in 1 of 4 cells"):
        open_table("t.parquet", tmp_path, Wanted(text=("id",)))
    frame.loc[1, "id"] = limit - 1
    frame.to_parquet(tmp_path / "t.parquet")
    found = open_table("t.parquet", tmp_path, Wanted(text=("id",)))
    assert found["id"].tolist() == ["7", str(int(limit) - 1), "8", None]
