"""The first row of a file without a header line reaches nobody: it is refused, and the refusal does not quote it."""

from pathlib import Path

import pandas as pd
import pytest

from veilflow.datasets.errors import SourceError
from veilflow.datasets.header import looks_like_data
from veilflow.datasets.sources import open_table
from veilflow.datasets.wanted import Wanted

ROWS = [
    "CANARYANN,52.4,19.0,1",
    "CANARYBEN,50.1,19.1,0",
    "CANARYEVE,60.2,28.5,1",
]
TEXT_ROWS = ["CANARYANN,Ulm,red", "CANARYBEN,Bonn,blue"]
REPEATED = ["CANARYANN,1,1,0", "CANARYBEN,2,3,1"]
MISSING_FIRST = ["CANARYANN,NA,-", "CANARYBEN,2,3"]
NAMING = [
    Wanted(),
    Wanted(text=("person",), named=("ill",)),
    Wanted(named=("age", "ill"), only=True),
    Wanted(drop=("note",)),
]


def _written(folder: Path, rows: list[str], ending: str) -> str:
    if ending == "csv":
        (folder / "t.csv").write_text("\n".join([*rows, ""]))
    else:  # as pandas would make a Parquet file of such a CSV file, without a word
        pd.read_csv(folder / _written(folder, rows, "csv")).to_parquet(folder / "t.parquet")
    return f"t.{ending}"


@pytest.mark.parametrize("rows", [ROWS, TEXT_ROWS, REPEATED, MISSING_FIRST])
@pytest.mark.parametrize("wanted", NAMING)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_first_row_is_refused_and_not_quoted(tmp_path: Path, rows: list[str], wanted: Wanted, ending: str):
    name = _written(tmp_path, rows, ending)
    with pytest.raises(SourceError) as caught:
        open_table(name, tmp_path, wanted)
    text = str(caught.value)
    assert not [cell for cell in rows[0].split(",") if len(cell) > 2 and cell in text]
    assert "header line" in text or "first line" in text
    assert "CANARYANN" in caught.value.own, "its owner finds it in the own log"


@pytest.mark.parametrize(
    "wanted",
    [Wanted(text=("person",)), Wanted(named=("ill",)), Wanted(drop=("bmi",)), Wanted(named=("bmi",), only=True)],
)
def test_one_declared_name_shows_that_it_is_a_header(tmp_path: Path, wanted: Wanted):
    (tmp_path / "t.csv").write_text("\n".join(["person,2019,bmi,ill", *ROWS, ""]))
    assert len(open_table("t.csv", tmp_path, wanted)) == 3


def test_without_a_declared_name_numbers_under_words_show_it(tmp_path: Path):
    (tmp_path / "t.csv").write_text("\n".join(["person,age,bmi,ill", *ROWS, ""]))
    assert list(open_table("t.csv", tmp_path)) == ["person", "age", "bmi", "ill"]


def test_a_wrong_name_is_told_and_the_names_there_are_to_the_owner_only(tmp_path: Path):
    (tmp_path / "t.csv").write_text("\n".join(["person,age,bmi,CANARYNAME", *ROWS, ""]))
    with pytest.raises(SourceError, match=r"'t.csv' has no column 'ill' among its 4") as caught:
        open_table("t.csv", tmp_path, Wanted(text=("person",), named=("ill",)))
    assert "CANARYNAME" not in str(caught.value)
    assert "CANARYNAME" in caught.value.own


def test_another_separator_is_a_likely_reason(tmp_path: Path):
    (tmp_path / "t.csv").write_text("person;age\nann;5\n")
    with pytest.raises(SourceError, match="separated by another character than a comma: save it with commas"):
        open_table("t.csv", tmp_path, Wanted(text=("person",)))


def test_blanks_around_a_name_are_none_of_it_before_types_are_applied(tmp_path: Path):
    (tmp_path / "t.csv").write_text(" person ,age\n007,1\n008,2\n")
    found = open_table("t.csv", tmp_path, Wanted(text=("person",)))
    assert found["person"].tolist() == ["007", "008"]


@pytest.mark.parametrize(
    "name",
    ["", "52.4", "-1", "1,5", "1e5", "12%", "1990-01-02", "2/3/1990", "12:30", "NA", "-", "?", "a@b.de", "P00733"],
)
def test_names_that_look_like_cells(name: str):
    assert looks_like_data(name)


@pytest.mark.parametrize("name", ["x", "y", "x0", "age", "income_2019", "bmi (kg/m2)", "\u59d3\u540d", "f", "24h_mean"])
def test_names_that_do_not(name: str):
    assert not looks_like_data(name)
