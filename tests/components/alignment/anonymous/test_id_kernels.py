"""IDs in bulk: the same text as cell by cell, distinct rows for distinct IDs, tags that depend on the ID alone."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veilflow.components.alignment import ids as exact
from veilflow.components.alignment.anonymous.id_text import id_text
from veilflow.components.alignment.anonymous.packed_ids import LONGEST, pack, tags
from veilflow.components.alignment.anonymous.people import hold
from veilflow.components.alignment.anonymous.ring import decode
from veilflow.components.alignment.spec import FORMS, RULES, parse_rules
from veilflow.components.errors import ComponentError

KEY = bytes(range(32))
PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
DIGITS = st.from_regex(r"[ ]?[+-]?(00)?(86)?[0-9 \-]{0,18}[xX]?(\.0*)?", fullmatch=True)
WIDE = st.text(st.sampled_from("１２３ｘＸ　 \t\u200b\xa0aBé身份-+.０"), max_size=12)
RULE_SETS = st.sets(st.sampled_from([rule for rule in RULES if rule not in FORMS])).flatmap(
    lambda chosen: st.sampled_from([sorted(chosen), *([*sorted(chosen), form] for form in sorted(FORMS))])
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.none(), PLAIN, DIGITS, WIDE), max_size=12), RULE_SETS)
def test_bulk_normalisation_is_that_of_single_cells(cells, entries):
    rules = parse_rules(entries)
    table = pa.table({"id": pa.array(cells, pa.string())})
    expected = exact.person_keys(pd.DataFrame({"id": pd.Series(cells, dtype=object)}), ["id"], rules)
    assert id_text(table, ["id"], rules, "t").to_pylist() == expected


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.one_of(st.none(), PLAIN), st.one_of(st.none(), WIDE), st.integers(-5, 10**12)), max_size=8)
)
def test_several_columns_are_joined_as_cell_by_cell(rows):
    names = ["a", "b", "c"]
    columns = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    table = pa.table({"a": pa.array(columns["a"], pa.string()), "b": pa.array(columns["b"], pa.string()),
                      "c": pa.array(columns["c"], pa.int64())})  # fmt: skip
    frame = pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()})
    rules = parse_rules(["strip", "2:width"])
    assert id_text(table, names, rules, "t").to_pylist() == exact.person_keys(frame, names, rules)


@pytest.mark.parametrize(
    ("written", "same", "rules"),
    [
        (pa.array([7]), pa.array(["7"]), []),
        (pa.array([7.0]), pa.array(["7"]), []),
        (pa.array(["＋８６ 138-0013-8000"]), pa.array(["13800138000"]), ["phone"]),
        (pa.array(["11010519491231002x"]), pa.array([" 110105 19491231 002X"]), ["id_card"]),
        (pa.array(["110105491231002"]), pa.array(["11010519491231002X"]), ["id_card"]),
        (pa.array(["ＡＢｃ１"]), pa.array(["abC1 "]), ["width", "case", "strip"]),
        (pa.array(["007.0"]), pa.array([7]), ["number"]),
    ],
)
def test_one_person_written_in_two_ways(written, same, rules):
    one, other = (id_text(pa.table({"id": cells}), ["id"], parse_rules(rules), "t") for cells in (written, same))
    assert one.to_pylist() == other.to_pylist() != [None]


def test_floats_that_lost_digits_are_refused():
    with pytest.raises(ComponentError, match="floats that have lost digits"):
        id_text(pa.table({"id": pa.array([2.0**53])}), ["id"], parse_rules([]), "t")


IDS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=40) | st.sampled_from(
    ["", "\0", "\0\0", "a" * 14, "a" * 15, "a" * LONGEST, "a" * (LONGEST + 1), "a" * 500, "b" * 500]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(IDS, max_size=20, unique=True))
def test_tags_tell_ids_apart_and_depend_on_nothing_else(ids):
    together = tags(pack(pa.array(ids, pa.large_string())), KEY)
    assert len(np.unique(together, axis=0)) == len(ids)
    for at, single in enumerate(ids):
        alone = tags(pack(pa.array([single], pa.large_string())), KEY)
        np.testing.assert_array_equal(alone[0], together[at])
    if ids:
        assert (tags(pack(pa.array(ids, pa.large_string())), bytes(32)) != together).all()


def test_a_tag_is_cbc_mac_with_the_length_in_front():
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    message = "身份证号码 and more than one block"
    raw = message.encode()
    padded = len(raw).to_bytes(2, "little") + raw
    padded += bytes(-len(padded) % 16)
    encryptor = Cipher(algorithms.AES256(KEY), modes.CBC(bytes(16))).encryptor()
    expected = (encryptor.update(padded) + encryptor.finalize())[-16:]
    assert tags(pack(pa.array([message], pa.large_string())), KEY).tobytes() == expected


def test_slices_of_arrow_arrays_are_packed_from_where_they_begin():
    whole = pa.array(["aa", "b", "ccc", "dd"], pa.large_string())
    np.testing.assert_array_equal(tags(pack(whole.slice(1, 2)), KEY), tags(pack(whole), KEY)[1:3])


@pytest.mark.parametrize("duplicates", ["first", "last"])
@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([None, "", " ", "a", "b", "b ", "c", "d"]), max_size=12))
def test_one_row_per_person_stays_as_in_pandas(duplicates, ids):
    table = pa.table({"id": pa.array(ids, pa.string()), "x": pa.array(np.arange(len(ids), dtype=float))})
    found, counts = hold(table, ["id"], ["x"], parse_rules(["strip"]), duplicates, "t")
    frame = pd.DataFrame({"id": [cell.strip() or None if cell else None for cell in ids], "x": np.arange(len(ids))})
    kept = frame.dropna().drop_duplicates("id", keep=duplicates)
    assert decode(found.values)[:, 0].tolist() == kept["x"].tolist()
    assert counts == {
        "rows": len(ids),
        "missing": int(frame["id"].isna().sum()) if len(frame) else 0,
        "duplicates": len(frame.dropna()) - len(kept),
        "people": len(kept),
    }
    assert len(found.ids) == len(kept)


def test_repeated_people_can_be_refused_and_are_counted_not_shown():
    table = pa.table({"id": ["secret-1", "secret-1", "b"], "x": [1.0, 2.0, 3.0]})
    with pytest.raises(ComponentError, match="1 row") as refused:
        hold(table, ["id"], ["x"], parse_rules([]), "error", "hospital's table")
    assert "secret" not in str(refused.value)


def test_cells_that_cannot_be_shared_are_refused_with_columns_and_counts():
    table = pa.table(
        {"id": ["a", "b", "c"], "x": [1.0, None, 2.0], "y": [1e13, 2.0, float("inf")], "z": ["p", "q", "r"]}
    )
    with pytest.raises(ComponentError, match=r"'x' \(1\), 'y' \(2\)"):
        hold(table, ["id"], ["x", "y"], parse_rules([]), "error", "t")
    with pytest.raises(ComponentError, match="'z' is string"):
        hold(table, ["id"], ["z"], parse_rules([]), "error", "t")
    fine = pa.table({"id": ["a", None], "x": [1.0, None]})
    assert hold(fine, ["id"], ["x"], parse_rules([]), "error", "t")[1]["people"] == 1
