"""Equal people get equal keys, different people different ones, and doubtful rows are counted, not guessed at."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.components.alignment.ids import cells_of, normalise, person_keys
from veilflow.components.alignment.spec import FORMS, RULES, parse_rules
from veilflow.components.errors import ComponentError

DEFAULT = parse_rules(["strip", "width"])
ruleset = st.sets(st.sampled_from(sorted(RULES))).filter(lambda found: len(found & FORMS) < 2)
id_text = st.text(
    st.one_of(st.characters(codec="utf-8"), st.sampled_from(" 0123456789xX+-.\u3000\u200b\u00b4e")), max_size=24
)


@given(id_text, ruleset)
def test_normalising_twice_changes_nothing(text, rules):
    once = normalise([text], rules)
    assert normalise(once, rules) == once


@given(st.lists(st.one_of(st.none(), id_text), max_size=12), ruleset)
def test_a_cell_is_normalised_the_same_whatever_stands_around_it(cells, rules):
    assert normalise(cells, rules) == [normalise([cell], rules)[0] for cell in cells]


@given(st.tuples(id_text, id_text), st.tuples(id_text, id_text))
def test_different_tuples_of_cells_have_different_keys(one, other):
    frame = pd.DataFrame([one, other], columns=["a", "b"], dtype=object)
    left, right = person_keys(frame, ["a", "b"], parse_rules([]))
    if left is not None and right is not None:
        assert (left == right) == (one == other)


def test_a_separator_inside_a_cell_cannot_imitate_another_tuple():
    frame = pd.DataFrame({"a": ["1", "11", "1:1"], "b": ["11", "1", "1"]}, dtype=object)
    assert len(set(person_keys(frame, ["a", "b"], DEFAULT))) == 3


@given(st.integers(min_value=-(2**52), max_value=2**52))
def test_a_number_has_one_key_however_it_is_typed(number):
    columns = [
        pd.Series([number], dtype="int64"),
        pd.Series([float(number)], dtype="float64"),
        pd.Series([number], dtype="Int64"),
        pd.Series([str(number)], dtype=object),
        pd.Series([number], dtype=object),
        pd.Series([f" {number}\t"], dtype=object),
    ]
    keys = {normalise(cells_of(column), {"strip", "width"})[0] for column in columns}
    assert keys == {str(number)}


@pytest.mark.parametrize(
    ("rules", "written", "key"),
    [
        (["width"], "ＡＢ１２", "AB12"),
        (["width"], "ab\u200b12\ufeff", "ab12"),
        (["strip"], "\u3000 ab 12 ", "ab 12"),
        (["spaces"], " ab\u00a012 3", "ab123"),
        (["case"], "Straße", "strasse"),
        (["case"], "ΑΣ", "ας".casefold()),
        (["number"], " 007", "7"),
        (["number"], "+7.00", "7"),
        (["number"], "-0", "0"),
        (["number"], "000", "0"),
        (["number"], "7.5", "7.5"),
        (["number"], "7e2", "7e2"),
        (["date"], "1990/1/2", "1990-01-02"),
        (["date"], "1990.1.02", "1990-01-02"),
        (["date"], "19900102", "1990-01-02"),
        (["date"], " 1990-01-02 00:00:00", "1990-01-02"),
        (["date"], "1990-01-02T00:00", "1990-01-02"),
        (["date"], "1990年1月2日", "1990-01-02"),
        (["date"], "1/2/1990", "1/2/1990"),
        (["date"], "1990-13-02", "1990-13-02"),
        (["date"], "1990-1/2", "1990-1/2"),
        (["date"], "1990-01-02 12:00", "1990-01-02 12:00"),
        (["phone"], "+86 138-0013-8000", "13800138000"),
        (["phone"], "0086 (138) 0013 8000", "13800138000"),
        (["phone"], "８６１３８００１３８０００", "13800138000"),
        (["phone"], "+49 30 901820", "4930901820"),
        (["phone"], "0049 30 901820", "4930901820"),
        (["id_card"], " 11010519491231002x ", "11010519491231002X"),
        (["id_card"], "110105 19491231 002x", "11010519491231002X"),
        (["id_card"], "110105491231002", "11010519491231002X"),
    ],
)
def test_rules_by_example(rules, written, key):
    assert person_keys(pd.DataFrame({"id": [written]}), ["id"], parse_rules(rules)) == [key]


def test_rules_can_differ_between_columns():
    frame = pd.DataFrame({"name": ["LI Na"], "mobile": ["+86 13800138000"]})
    rules = parse_rules(["strip", "1:case", "2:phone"])
    assert person_keys(frame, ["name", "mobile"], rules) == ["5:li na11:13800138000"]


def test_floats_that_have_lost_digits_are_refused():
    frame = pd.DataFrame({"card": [1.1010519491231002e17, 12.0, np.nan, np.inf]})
    with pytest.raises(ComponentError, match=r"'card' holds 2 of 4 numbers as floats that have lost digits"):
        person_keys(frame, ["card"], DEFAULT, "hospital's table")
    narrow = pd.DataFrame({"card": np.array([2.0**24], dtype=np.float32)})
    with pytest.raises(ComponentError, match="holds 1 of 1 numbers as floats"):
        person_keys(narrow, ["card"], DEFAULT, "hospital's table")


def test_missing_cells_of_any_kind_match_nobody():
    for cells in ([np.nan, 7.0], [None, "7"], [pd.NaT, "7"], [pd.NA, 7]):
        assert person_keys(pd.DataFrame({"id": pd.Series(cells, dtype=object)}), ["id"], DEFAULT) == [None, "7"]


def test_a_day_has_one_text_however_it_is_stored():
    day = pd.Timestamp("1990-01-02")
    for column in (pd.Series([day]), pd.Series([day.date()], dtype=object), pd.Series(["1990-01-02"])):
        assert cells_of(column) == ["1990-01-02"]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (["upper"], "'upper' is not one of strip, spaces, width"),
        (["0:case"], "'0' in '0:case' is not an ID column's position"),
        (["person:case"], "'person' in 'person:case' is not an ID column's position"),
        (["number", "phone"], "one ID column cannot be number and phone at once"),
        (["phone", "2:id_card"], "one ID column cannot be id_card and phone at once; choose one"),
    ],
)
def test_rules_that_make_no_sense_are_refused(entries, message):
    with pytest.raises(ComponentError, match=message):
        parse_rules(entries)


def test_a_rule_beyond_the_last_column_is_refused():
    with pytest.raises(ComponentError, match=r"normalise names ID column 3, but the people are told apart by 2"):
        parse_rules(["3:case"]).require_positions(2)
