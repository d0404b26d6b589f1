"""`column:setting` pairs, and messages that name columns."""

import pytest

from veilflow.components.data.names import OURS, listed, parse_pairs, require_columns, require_free
from veilflow.components.errors import ComponentError


def test_pairs_split_at_the_last_colon():
    assert parse_pairs(["a:b:float", "c:int"], ["float", "int"], "types") == {"a:b": "float", "c": "int"}


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["age"], "types: 'age' is not of the form column:setting"),
        ([":int"], "types: ':int' is not of the form"),
        (["age:flaot"], "types: 'flaot' of column 'age' is not one of int, float"),
        (["age:int", "age:float"], "types: column 'age' is named twice"),
    ],
)
def test_a_wrong_pair_is_named(pairs: list[str], message: str):
    with pytest.raises(ComponentError, match=message):
        parse_pairs(pairs, ["int", "float"], "types")


def test_long_lists_are_cut():
    assert listed(str(i) for i in range(15)).endswith("11 and 3 more")


def test_all_absent_columns_are_named_at_once():
    with pytest.raises(ComponentError, match=r"has no column 'agee' \(did you mean 'age'\?\), 'q'; it has: age, sex"):
        require_columns(["agee", "q", "sex"], ["age", "sex"], "the table")


@pytest.mark.parametrize("name", sorted(OURS))
def test_an_id_or_label_called_like_a_column_of_ours_is_refused(name: str):
    with pytest.raises(ComponentError, match=f"an ID or the label cannot have a name that .*'{name}'.*rename"):
        require_free(["person", name], "an ID or the label")
    require_free(["person", f"{name}_1", ""], "an ID or the label")
