"""Reading types every column, counts what does not fit, and never quotes a cell."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veilflow.components.data.read.normalise import hint, normalise
from veilflow.components.data.read.spec import ReadSpec
from veilflow.components.errors import ComponentError

PEOPLE = pd.DataFrame(
    {
        "person": ["a", "b", "c", "b"],
        "age": [30, 41, 52, 63],
        "dose": ["1.5", " 2 ", "SECRETCELL", None],
        "smoker": ["yes", "No", "TRUE", "0"],
        "ward": ["x", "y", None, "x"],
        "visits": [0, 2, 1, 5],
    }
)


def _read(frame: pd.DataFrame = PEOPLE, **spec: object) -> tuple[pd.DataFrame, dict[str, object]]:
    found, facts = normalise(frame, ReadSpec(**spec), "'people.csv'")  # type: ignore[arg-type]
    return found, {column.name: column for column in facts.columns} | {"facts": facts}


def test_ids_come_first_and_the_label_last_whatever_the_order_in_the_file():
    found, facts = _read(ids=("person",), label="age")
    assert list(found) == ["person", "dose", "smoker", "ward", "visits", "age"]
    assert [facts[name].kind for name in found] == ["id", *["feature"] * 4, "label"]


def test_declared_types_convert_and_count_what_does_not_fit():
    types = {"dose": "float", "smoker": "bool", "age": "str"}
    found, facts = _read(types=types, parse_failures="missing")
    assert found["dose"].tolist()[:2] == [1.5, 2.0]
    assert found["dose"].isna().tolist() == [False, False, True, True]
    assert (facts["dose"].unreadable, facts["dose"].missing) == (1, 2)
    assert found["smoker"].tolist() == [1, 0, 1, 0]
    assert found["age"].tolist() == ["30", "41", "52", "63"]


def test_a_cell_of_the_wrong_type_is_an_error_that_does_not_quote_it():
    with pytest.raises(ComponentError, match="dose 1 of 4 as float") as caught:
        _read(types={"dose": "float"})
    assert "SECRET" not in str(caught.value)


def test_a_fraction_is_no_whole_number():
    with pytest.raises(ComponentError, match="x 1 of 3 as int"):
        _read(pd.DataFrame({"x": [1.0, 2.5, 3.0]}), types={"x": "int"})


def test_whole_numbers_beside_gaps_are_floats():
    found, facts = _read(pd.DataFrame({"x": ["1", None]}), types={"x": "int"})
    assert facts["x"].type == "float64"
    assert found["x"].isna().tolist() == [False, True]


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-(2**62), 2**62)), min_size=1))
def test_every_64_bit_whole_number_survives(values: list[int | None]):
    found, facts = _read(pd.DataFrame({"x": pd.Series([None if v is None else str(v) for v in values], dtype=object)}))
    assert facts["x"].numbers_in_text == sum(value is not None for value in values)
    typed, _ = _read(found, types={"x": "int"})
    if None not in values:
        assert typed["x"].tolist() == values


def test_a_text_feature_is_reported_with_the_number_of_cells_that_look_like_numbers():
    _, facts = _read()
    assert (facts["dose"].type, facts["dose"].numbers_in_text) == ("str", 2)
    assert facts["ward"].numbers_in_text == 0


def test_booleans_become_ones_and_zeros_also_beside_gaps():
    found, facts = _read(pd.DataFrame({"a": [True, False], "b": [True, None]}))
    assert found["a"].tolist() == [1, 0]
    assert (facts["a"].type, facts["b"].type) == ("int64", "float64")


def test_ids_are_text_and_repeated_ones_are_counted():
    frame = pd.DataFrame({"id": [7.0, 7.0, 8.0], "x": [1, 2, 3]})
    found, facts = _read(frame, ids=("id",))
    assert found["id"].tolist() == ["7", "7", "8"]
    assert facts["facts"].duplicate_ids == 1


def test_infinity_is_an_error_or_missing():
    frame = pd.DataFrame({"x": [1.0, np.inf, -np.inf], "y": [np.nan, 1, 2]})
    with pytest.raises(ComponentError, match="infinite numbers: x 2 of 3"):
        _read(frame)
    found, facts = _read(frame, infinite="missing")
    assert found["x"].isna().tolist() == [False, True, True]
    assert (facts["x"].infinite, facts["x"].missing, facts["y"].infinite) == (2, 2, 0)


def test_rows_without_id_or_label_are_an_error_or_dropped():
    frame = pd.DataFrame({"id": ["a", None, "", "d"], "y": [1, 0, 1, None], "x": [1, 2, 3, 4]})
    with pytest.raises(ComponentError, match="without an ID or label: id 2 of 4, y 1 of 4"):
        _read(frame, ids=("id",), label="y")
    found, facts = _read(frame, ids=("id",), label="y", incomplete_rows="drop")
    assert found["id"].tolist() == ["a"]
    assert (facts["facts"].rows_read, facts["facts"].rows, facts["facts"].incomplete_rows) == (4, 1, 3)
    with pytest.raises(ComponentError, match="none of the 2 rows has all of id"):
        _read(frame[1:3].reset_index(drop=True), ids=("id",), incomplete_rows="drop")


def test_a_count_becomes_a_binary_label():
    found, facts = _read(label="visits", label_above=0)
    assert found["visits"].tolist() == [0, 1, 1, 1]
    assert facts["visits"].type == "int64"
    assert _read(label="visits")[0]["visits"].tolist() == [0, 2, 1, 5]


def test_a_text_label_has_no_threshold():
    with pytest.raises(ComponentError, match="'ward' is text"):
        _read(label="ward", label_above=1, incomplete_rows="drop")


@pytest.mark.parametrize(
    ("cells", "one", "wanted"),
    [
        (["Y", "N", " Y "], "Y", [1, 0, 1]),
        (["case", "control", "other"], "case", [1, 0, 0]),
        ([1, 2, 2], "2", [0, 1, 1]),
        ([-1.0, 1.0, -1.0], "1", [0, 1, 0]),
    ],
)
def test_the_cell_that_means_one_is_named(cells: list[object], one: str, wanted: list[int]):
    found, facts = _read(pd.DataFrame({"y": cells, "x": [1, 2, 3]}), label="y", label_is=one)
    assert found["y"].tolist() == wanted
    assert facts["y"].type == "int64"


@pytest.mark.parametrize(
    ("cells", "one", "message"),
    [
        (["Y", "N"], "J", "no cell of label 'y' is what label_is: says, in 2 rows"),
        (["Y", "y"], "Y", r"writes what label_is: says in 1 row\(s\) with other capitals"),
        ([1, 2], "two", "a column of numbers, and label_is: says none"),
    ],
)
def test_a_misspelled_label_is_makes_no_column_of_zeros(cells: list[object], one: str, message: str):
    with pytest.raises(ComponentError, match=message):
        _read(pd.DataFrame({"y": cells, "x": [1, 2]}), label="y", label_is=one)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"ids": ("persn",)}, "'people.csv' has no column 'persn' among its 6"),
        ({"label": "zzz", "ids": ("qqq",)}, "no column 'qqq', 'zzz'"),
        ({"columns": ("age",), "drop": ("ward",)}, "either columns .* or drop"),
        ({"label": "person", "ids": ("person",)}, "cannot be both ID and label"),
        ({"label_above": 1.0}, "label_above is given without label"),
        ({"label_is": "Y"}, "label_is is given without label"),
        ({"label": "ward", "label_above": 1.0, "label_is": "x"}, "either label_above or label_is"),
        ({"ids": ("person",), "drop": ("person",)}, "take person out of columns/drop"),
        ({"ids": ("person",), "types": {"person": "int"}}, "IDs are always text"),
        ({"drop": tuple(PEOPLE.columns)}, "no column is left"),
    ],
)
def test_contradictory_settings_are_named(spec: dict[str, object], message: str):
    with pytest.raises(ComponentError, match=message):
        _read(**spec)


def test_kept_and_dropped_columns():
    assert list(_read(ids=("person",), columns=("age", "dose"))[0]) == ["person", "age", "dose"]
    assert list(_read(ids=("person",), drop=("age", "dose"))[0]) == ["person", "smoker", "ward", "visits"]


def test_three_rows_are_a_table():
    assert len(_read(PEOPLE.head(3))[0]) == 3


def test_the_source_is_not_changed():
    before = PEOPLE.copy(deep=True)
    _read(types={"dose": "float", "smoker": "bool"}, parse_failures="missing", label="visits", label_above=0)
    pd.testing.assert_frame_equal(PEOPLE, before)


def test_a_prefix_renames_features_only_and_facts_follow():
    frame = pd.DataFrame({"id": ["a", "b"], "x0": [1.0, 2.0], "y": [0, 1]})
    table, facts = normalise(frame, ReadSpec(ids=("id",), label="y", prefix="bank_"), "'t'")
    assert list(table.columns) == ["id", "bank_x0", "y"]
    assert [column.name for column in facts.columns] == ["id", "bank_x0", "y"]


def test_a_prefix_that_makes_a_feature_the_label_is_refused():
    frame = pd.DataFrame({"y": [1.0, 2.0], "bank_y": [0, 1]})
    with pytest.raises(ComponentError, match="with prefix 'bank_' a feature is called like an ID or the label"):
        normalise(frame, ReadSpec(label="bank_y", prefix="bank_"), "'t'")


def test_one_dash_among_numbers_is_told_with_the_setting_that_mends_it():
    costs = [str(number) for number in range(199)] + ["-"]
    frame = pd.DataFrame({"cost": pd.Series(costs, dtype=object), "x": range(200)})
    with pytest.raises(
        ComponentError, match=r"cost 1 of 200.*types: \[cost:float\] and parse_failures: missing"
    ) as caught:
        _read(frame)
    assert "-'" not in str(caught.value)
    found, _ = _read(frame, types={"cost": "float"}, parse_failures="missing")
    assert found["cost"].isna().sum() == 1
    assert _read(frame, types={"cost": "str"})[0]["cost"].tolist() == costs


def test_a_file_s_own_names_are_told_to_its_owner_only():
    with pytest.raises(ComponentError) as caught:
        _read(ids=("persn",))
    assert "dose" not in str(caught.value)
    assert "dose" in caught.value.own


def test_all_that_is_wrong_with_a_table_is_told_at_once():
    frame = pd.DataFrame({"id": ["a", None, "c"], "x": [1.0, np.inf, 2.0], "dose": ["1", "2", "SECRETCELL"]})
    with pytest.raises(ComponentError) as caught:
        _read(frame, ids=("id",), types={"dose": "float"})
    for part in ("dose 1 of 3 as float", "infinite numbers: x 1 of 3", "without an ID or label: id 1 of 3"):
        assert part in str(caught.value)


def test_empty_columns_text_labels_and_repeated_ids_are_hinted_at_where_they_are_read():
    frame = pd.DataFrame({"person": ["a", "b"], "empty": [np.nan, np.nan], "ill": ["Y", "N"]})

    def told(**spec: object) -> str:
        return hint(normalise(frame, ReadSpec(ids=("person",), label="ill", **spec), "'t.csv'")[1].as_document())  # type: ignore[arg-type]

    assert "no value in any of 2 rows: empty" in told()
    assert "label ill is text: to train on it, set types: [ill:bool] or label_is" in told()
    assert told(types={"ill": "bool"}, drop=("empty",)) == ""
    frame["person"] = "a"
    assert "1 of 2 rows repeat the ID of another row" in told()
