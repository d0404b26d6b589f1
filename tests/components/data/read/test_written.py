"""Numbers in the dress of spreadsheets are told where the file is read, with what to do; no cell is quoted."""

import pandas as pd
import pytest

from veilflow.components.data.read.normalise import normalise
from veilflow.components.data.read.spec import ReadSpec
from veilflow.components.data.read.written import numbers_in_dress, shortened_ids
from veilflow.components.errors import ComponentError

DRESSED = [
    "1,234.50",
    "12.345,6",
    "1 234",
    "1\u202f234,5",
    "12,5",
    "¥99.5",
    "-$3",
    "12.5%",
    "(1,200)",
    "8 €",
    "１２．5",
]
OTHER = ["A12", "12-05", "2024-03-01", "10.0.0.1", "1,23,456", "12%a", "01/03/2024", "", "-", "5 to 9", "13:45"]


@pytest.mark.parametrize("cell", DRESSED)
def test_a_number_to_a_person_is_counted(cell):
    assert numbers_in_dress(pd.Series([cell, None], dtype=object)) == 1


@pytest.mark.parametrize("cell", OTHER)
def test_dates_addresses_and_codes_are_not(cell):
    assert numbers_in_dress(pd.Series([cell], dtype=object)) == 0


@pytest.mark.parametrize("cell", ["1,234.50", "12.5%", "¥99.5", "１２"])
def test_a_column_of_them_is_refused_with_the_setting_and_without_a_cell(cell):
    frame = pd.DataFrame({"person": ["a", "b", "c"], "income": [cell, cell, "7"]})
    with pytest.raises(ComponentError, match=r"income 2 of 3.*plain numbers.*types: \[income:str\]") as caught:
        normalise(frame, ReadSpec(ids=("person",)), "'t.csv'")
    assert cell not in str(caught.value)
    kept, _ = normalise(frame, ReadSpec(ids=("person",), types={"income": "str"}), "'t.csv'")
    assert kept["income"].tolist() == [cell, cell, "7"]


@pytest.mark.parametrize("cell", ["1.10101E+17", "4.40301e+17", "1E+11"])
def test_ids_of_which_a_spreadsheet_kept_the_first_digits_are_refused(cell):
    frame = pd.DataFrame({"person": [cell, "110101199001010011"], "age": [1, 2]})
    with pytest.raises(ComponentError, match=r"only the first digits are left.*person 1 of 2"):
        normalise(frame, ReadSpec(ids=("person",)), "'t.csv'")
    kept, _ = normalise(frame, ReadSpec(ids=("person",), types={"person": "str"}), "'t.csv'")
    assert kept["person"].tolist() == frame["person"].tolist()


def test_ordinary_ids_are_whole():
    assert shortened_ids(pd.Series(["007", "E+12", "1E7", "110101199001010011", "a1e+17"], dtype=object)) == 0
