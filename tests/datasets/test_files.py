"""Files are read inside their folder only, and a broken one is named without quoting what it holds."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.pandas import column, data_frames

from veilflow.datasets.errors import SourceError
from veilflow.datasets.sources import open_source, open_table
from veilflow.datasets.wanted import Wanted

SECRET = "SECRETCELL"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    frame=data_frames(
        [
            column("count", dtype=np.int64),
            column("measure", elements=st.floats(allow_nan=True, allow_infinity=True, width=64)),
            column("name", elements=st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1)),
        ]
    ).filter(len)
)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_written_table_reads_back_as_it_was(tmp_path: Path, ending: str, frame: pd.DataFrame):
    path = tmp_path / f"table.{ending}"
    if ending == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    found = open_table(path.name, tmp_path, Wanted(text=("name",)))
    # pandas writes CSV numbers with their shortest exact digits; words that mean "missing" come back as missing
    words = frame["name"].where(~frame["name"].isin(["nan", "null"]) | (ending == "parquet"), None)
    pd.testing.assert_frame_equal(found[["count", "measure"]], frame[["count", "measure"]].reset_index(drop=True))
    assert found["name"].tolist() == words.tolist()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_an_id_keeps_its_leading_zeros(tmp_path: Path, ending: str):
    frame = pd.DataFrame({"id": ["007", "08"], "x": [1, 2]})
    getattr(frame, f"to_{ending}")(tmp_path / f"t.{ending}", index=False)
    assert open_table(f"t.{ending}", tmp_path, Wanted(text=("id",)))["id"].tolist() == ["007", "08"]


def test_a_whole_number_id_in_parquet_becomes_its_digits_even_beside_gaps(tmp_path: Path):
    pd.DataFrame({"id": pd.array([9007199254740993, None], dtype="Int64")}).to_parquet(tmp_path / "t.parquet")
    assert open_table("t.parquet", tmp_path, Wanted(text=("id",)))["id"].tolist() == ["9007199254740993", None]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_dates_and_categories_become_text(tmp_path: Path, ending: str):
    frame = pd.DataFrame({"day": pd.to_datetime(["2024-01-31"]), "town": pd.Categorical(["Ulm"])})
    getattr(frame, f"to_{ending}")(tmp_path / f"t.{ending}", index=False)
    found = open_table(f"t.{ending}", tmp_path, Wanted(named=("town",)))
    assert found["day"].tolist() == ["2024-01-31"]
    assert found["town"].tolist() == ["Ulm"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'t.csv' is empty"),
        ("id,x\n", r"'t.csv' has a header of 2 column\(s\) but no rows"),
        ("id,x,id\n1,2,3\n", r"column\(s\) 'id' of 3 stand\(s\) twice in its first line"),
        ("id, id\n1,2\n", r"column\(s\) 'id' of 2 stand\(s\) twice in its first line"),
        (f"id,{SECRET}, {SECRET}\n1,2,3\n", r"1 column\(s\) of 3 stand\(s\) twice in its first line"),
        ("id,\n1,2\n", r"1 column\(s\) have no name"),
        (f"id,x\n1,2\n{SECRET},3,4\n5,6\n7\n", r"2 line\(s\) do not have 2 columns, the first is line 3 with 3"),
        (f'id,x\n1,"{SECRET}\n2,3\n', "the quote that opens a cell in line 2 is never closed"),
    ],
)
def test_a_broken_csv_is_named_without_its_cells(tmp_path: Path, text: str, message: str):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(SourceError, match=message) as caught:
        open_table("t.csv", tmp_path, Wanted(text=("id",)))
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None, "a cause that quotes cells would be printed with the error"


def test_a_csv_that_is_not_utf8_is_named(tmp_path: Path):
    (tmp_path / "t.csv").write_bytes("id,name\n1,Jos\u00e9\n".encode("latin-1"))
    with pytest.raises(SourceError, match=r"column\(s\) 'name' of 2 hold\(s\) cells that are not UTF-8 text.*iconv"):
        open_table("t.csv", tmp_path, Wanted(text=("name",)))
    with pytest.raises(SourceError, match=r"1 column\(s\) of 2 hold\(s\) cells that are not UTF-8 text") as caught:
        open_table("t.csv", tmp_path)
    assert "name" in caught.value.own


def test_a_quoted_cell_may_hold_commas_and_lines(tmp_path: Path):
    (tmp_path / "t.csv").write_text('id,note\n1,"a, b\nc"\n2,d\n')
    assert open_table("t.csv", tmp_path)["note"].tolist() == ["a, b\nc", "d"]


@pytest.mark.parametrize("ending", ["parquet", "npz"])
def test_a_file_of_another_format_is_named(tmp_path: Path, ending: str):
    (tmp_path / f"t.{ending}").write_text("id,x\n1,2\n")
    with pytest.raises(SourceError, match=rf"'t\.{ending}' (cannot be read|is no readable)"):
        open_source(f"t.{ending}", tmp_path)


def test_a_nested_parquet_column_is_named(tmp_path: Path):
    pd.DataFrame({"x": [[1, 2], [3]]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(SourceError, match=r"column\(s\) 'x' of 1 hold\(s\) lists.*leave them out with drop"):
        open_table("t.parquet", tmp_path, Wanted(named=("x",)))


def test_an_image_set_is_a_dict_of_arrays(tmp_path: Path):
    np.savez(tmp_path / "x.npz", train_images=np.zeros((3, 2, 2), np.uint8), train_labels=np.ones(3))
    found = open_source("x.npz", tmp_path)
    assert isinstance(found, dict)
    assert found["train_images"].shape == (3, 2, 2)
    with pytest.raises(SourceError, match="is an image set, not a table"):
        open_table("x.npz", tmp_path)


def test_images_and_labels_of_different_number_are_refused(tmp_path: Path):
    np.savez(tmp_path / "x.npz", test_images=np.zeros((3, 2, 2)), test_labels=np.ones(2))
    with pytest.raises(SourceError, match="an array has 3 images for 2 labels"):
        open_source("x.npz", tmp_path)


def test_an_npz_with_pickled_objects_is_refused(tmp_path: Path):
    np.savez(tmp_path / "x.npz", images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(SourceError, match=r"no readable \.npz file of plain arrays"):
        open_source("x.npz", tmp_path)


def test_a_missing_file_is_named_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(SourceError, match=r"no file 'people\.csv' in the party's data folder\.$") as caught:
        open_table("people.csv", tmp_path)
    assert str(tmp_path) in caught.value.own
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=r"no file 'people\.csv' in the working directory\.$") as caught:
        open_table("people.csv")
    assert str(tmp_path) in caught.value.own


def test_a_folder_is_no_file(tmp_path: Path):
    (tmp_path / "x.csv").mkdir()
    with pytest.raises(SourceError, match="is not a file"):
        open_table("x.csv", tmp_path)


def test_no_path_leaves_the_data_folder(tmp_path: Path):
    root = tmp_path / "data"
    (root / "deep").mkdir(parents=True)
    outside = tmp_path / "outside.csv"
    outside.write_text("id\n1\n")
    (root / "link.csv").symlink_to(outside)
    (root / "up").symlink_to(tmp_path)
    for path, message in [
        ("../outside.csv", r"holds '\.\.'"),
        ("deep/../../outside.csv", r"holds '\.\.'"),
        (str(outside), "is an absolute path"),
        ("link.csv", "links to a file outside"),
        ("up/outside.csv", "links to a file outside"),
        ("a\0.csv", "NUL"),
    ]:
        with pytest.raises(SourceError, match=message):
            open_table(path, root)


def test_a_link_inside_the_data_folder_is_followed(tmp_path: Path):
    (tmp_path / "real.csv").write_text("id\n1\n")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    assert len(open_table("link.csv", tmp_path)) == 1


def test_without_a_root_paths_are_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "t.csv").write_text("id\n1\n")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert len(open_table("../t.csv")) == 1
    assert len(open_table(str(tmp_path / "t.csv"))) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"id,x\n1,2\n"), "is a gzip file: unpack it first"),
        ("id,x\n1,2\n".encode("utf-16"), "is UTF-16 text: save it as UTF-8"),
        ("id,x\n1,2\n".encode("utf-16-le"), "is UTF-16 text: save it as UTF-8"),
        (b"PK\x03\x04rest", "is a ZIP archive or an Excel workbook"),
        (b"PAR1rest", "is a Parquet file: let its name end in .parquet"),
        (b"id,\x00\n1,2\n" * 9, "is no text: it holds zero bytes"),
        ("id,\u59d3\u540d\n1,2\n".encode("gbk"), "the header line of 't.csv' is not UTF-8 text.*iconv -f GBK"),
    ],
)
def test_a_file_of_another_format_or_encoding_is_named_with_what_to_do(tmp_path: Path, content: bytes, message: str):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        open_table("t.csv", tmp_path, Wanted(text=("id",)))


def test_a_gzip_file_called_parquet_is_named(tmp_path: Path):
    (tmp_path / "t.parquet").write_bytes(gzip.compress(b"x"))
    with pytest.raises(SourceError, match="is a gzip file"):
        open_table("t.parquet", tmp_path)


def test_a_mark_of_utf8_at_the_beginning_is_no_part_of_the_first_name(tmp_path: Path):
    (tmp_path / "t.csv").write_bytes("\ufeffid,x\n007,2\n".encode())
    assert open_table("t.csv", tmp_path, Wanted(text=("id",)))["id"].tolist() == ["007"]


@pytest.mark.parametrize("wanted", [Wanted(text=("id",), drop=("name",)), Wanted(named=("id", "x"), only=True)])
def test_nothing_is_wrong_with_a_column_that_is_not_wanted(tmp_path: Path, wanted: Wanted):
    (tmp_path / "t.csv").write_bytes("id,name,x\n1,\u5f20\u4f1f,2\n".encode("gbk"))
    pd.DataFrame({"id": [1], "name": [["a", "list"]], "x": [2]}).to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        assert list(open_table(name, tmp_path, wanted)) == ["id", "x"]


def test_a_column_without_a_cell_is_one_of_missing_numbers(tmp_path: Path):
    (tmp_path / "t.csv").write_text("id,x,empty\n1,2,\n2,3,\n")
    pd.DataFrame({"id": [1, 2], "x": [2, 3], "empty": [None, None]}).to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        found = open_table(name, tmp_path, Wanted(text=("id",)))
        assert found["empty"].dtype == np.float64
        assert found["empty"].isna().all()


def test_a_folder_of_parquet_files_says_how_to_join_them(tmp_path: Path):
    (tmp_path / "t.parquet").mkdir()
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "t.parquet" / "part-0.parquet")
    with pytest.raises(SourceError, match=r"'t.parquet' is a folder with 1 Parquet file\(s\).*read_table"):
        open_table("t.parquet", tmp_path)


def test_columns_of_a_sample_are_chosen_and_checked_alike():
    found = open_table("sample://breast_cancer/hospital", None, Wanted(text=("person",), drop=("malignant",)))
    assert "person" in found
    assert "malignant" not in found
    with pytest.raises(SourceError, match="has no column 'persn'"):
        open_table("sample://breast_cancer/hospital", None, Wanted(text=("persn",), named=("malignant",)))
