import io

import numpy as np
import pandas as pd
import pytest

from veilflow.components.application.write_table.formats import to_bytes


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "person": ["p 1", 'say "hi", then', "line\nbreak", "ümlaut"],
            "score": [0.1, 1 / 3, np.nan, 1e-300],
            "count": np.array([1, 2, 3, 2**62], dtype=np.int64),
            "yes": [True, False, True, False],
        },
        index=[5, 6, 7, 8],
    )


@pytest.mark.parametrize("fmt, read", [("csv", pd.read_csv), ("parquet", pd.read_parquet)])
def test_every_value_comes_back(fmt: str, read: object) -> None:
    options = {"float_precision": "round_trip"} if fmt == "csv" else {}
    back = read(io.BytesIO(to_bytes(frame(), fmt)), **options)  # type: ignore[operator]
    pd.testing.assert_frame_equal(back, frame().reset_index(drop=True))


def test_an_empty_table_keeps_its_columns() -> None:
    assert list(pd.read_csv(io.BytesIO(to_bytes(frame().head(0), "csv"))).columns) == list(frame().columns)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="one of csv, parquet, got 'xlsx'"):
        to_bytes(frame(), "xlsx")


FORMULAS = ["=1+1", "+49 89", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"]
HARMLESS = ["", "a=b", " =1", "'=1", "7", "é", None]


@pytest.mark.parametrize("kind", ["object", "category", "string"])
def test_no_text_of_a_csv_is_a_formula_and_other_text_stays(kind: str) -> None:
    texts = pd.Series(FORMULAS + HARMLESS, dtype=kind)
    text = to_bytes(pd.DataFrame({"=name": texts, "ok": texts}), "csv")
    back = pd.read_csv(io.BytesIO(text), keep_default_na=False)
    assert list(back.columns) == ["'=name", "ok"]
    wanted = [f"'{each}" for each in FORMULAS] + [each or "" for each in HARMLESS]
    assert list(back["ok"]) == wanted
    assert list(back["'=name"]) == wanted


def test_numbers_of_a_csv_keep_their_signs() -> None:
    numbers = pd.DataFrame({"whole": [-1, 2], "real": [-1.5, np.nan], "none": [None, None]})
    assert to_bytes(numbers, "csv").decode().splitlines()[1:] == ["-1,-1.5,", "2,,"]


def test_parquet_keeps_every_text() -> None:
    texts = pd.DataFrame({"=name": FORMULAS + HARMLESS})
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(to_bytes(texts, "parquet"))), texts)
