"""Files are read inside their folder only, and a broken one is named without quoting what it holds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.pandas import column, data_frames

from veilflow.datasets.errors import SourceError
from veilflow.datasets.sources import open_source, open_table

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
    found = open_table(path.name, tmp_path, text_columns=["name"])
    # pandas writes CSV numbers with their shortest exact digits; words that mean "missing" come back as missing
    words = frame["name"].where(~frame["name"].isin(["nan", "null"]) | (ending == "parquet"), None)
    pd.testing.assert_frame_equal(found[["count", "measure"]], frame[["count", "measure"]].reset_index(drop=True))
    assert found["name"].tolist() == words.tolist()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_an_id_keeps_its_leading_zeros(tmp_path: Path, ending: str):
    frame = pd.DataFrame({"id": ["007", "08"], "x": [1, 2]})
    getattr(frame, f"to_{ending}")(tmp_path / f"t.{ending}", index=False)
    assert open_table(f"t.{ending}", tmp_path, text_columns=["id"])["id"].tolist() == ["007", "08"]


def test_a_whole_number_id_in_parquet_becomes_its_digits_even_beside_gaps(tmp_path: Path):
    pd.DataFrame({"id": pd.array([9007199254740993, None], dtype="Int64")}).to_parquet(tmp_path / "t.parquet")
    assert open_table("t.parquet", tmp_path, text_columns=["id"])["id"].tolist() == ["9007199254740993", None]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_dates_and_categories_become_text(tmp_path: Path, ending: str):
    frame = pd.DataFrame({"day": pd.to_datetime(["2024-01-31"]), "town": pd.Categorical(["Ulm"])})
    getattr(frame, f"to_{ending}")(tmp_path / f"t.{ending}", index=False)
    found = open_table(f"t.{ending}", tmp_path)
    assert found["day"][0].startswith("2024-01-31")
    assert found["town"].tolist() == ["Ulm"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'t.csv' is empty"),
        ("id,x\n", r"'t.csv' has a header of 2 column\(s\) but no rows"),
        ("id,id\n1,2\n", "columns named twice: id"),
        ("id, id\n1,2\n", "columns named twice: id"),
        ("id,\n1,2\n", r"1 column\(s\) have no name"),
        (f"id,x\n1,2\n{SECRET},3,4\n5,6\n7\n", r"2 line\(s\) do not have 2 columns, the first is line 3 with 3"),
        (f'id,x\n1,"{SECRET}\n2,3\n', "has 1 quotes: one is left open"),
    ],
)
def test_a_broken_csv_is_named_without_its_cells(tmp_path: Path, text: str, message: str):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(SourceError, match=message) as caught:
        open_table("t.csv", tmp_path)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None, "a cause that quotes cells would be printed with the error"


def test_a_csv_that_is_not_utf8_is_named(tmp_path: Path):
    (tmp_path / "t.csv").write_bytes("id,name\n1,Jos\u00e9\n".encode("latin-1"))
    with pytest.raises(SourceError, match="it is not UTF-8 text"):
        open_table("t.csv", tmp_path, text_columns=["name"])
    with pytest.raises(SourceError, match="column 'name' is not UTF-8 text"):
        open_table("t.csv", tmp_path)


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
    with pytest.raises(SourceError, match="column 'x' of type list"):
        open_table("t.parquet", tmp_path)


def test_an_image_set_is_a_dict_of_arrays(tmp_path: Path):
    np.savez(tmp_path / "x.npz", train_images=np.zeros((3, 2, 2), np.uint8), train_labels=np.ones(3))
    found = open_source("x.npz", tmp_path)
    assert isinstance(found, dict)
    assert found["train_images"].shape == (3, 2, 2)
    with pytest.raises(SourceError, match="is an image set, not a table"):
        open_table("x.npz", tmp_path)


def test_images_and_labels_of_different_number_are_refused(tmp_path: Path):
    np.savez(tmp_path / "x.npz", test_images=np.zeros((3, 2, 2)), test_labels=np.ones(2))
    with pytest.raises(SourceError, match="test_images has 3 images for 2 labels"):
        open_source("x.npz", tmp_path)


def test_an_npz_with_pickled_objects_is_refused(tmp_path: Path):
    np.savez(tmp_path / "x.npz", images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(SourceError, match=r"no readable \.npz file of plain arrays"):
        open_source("x.npz", tmp_path)


def test_a_missing_file_is_named_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(
        SourceError, match=rf"no file 'people\.csv' in the party's data folder '{tmp_path.name}'"
    ) as caught:
        open_table("people.csv", tmp_path)
    assert str(tmp_path.parent) not in str(caught.value), "other parties read this message"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=rf"no file 'people\.csv' in the working directory '{tmp_path}'"):
        open_table("people.csv")


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
