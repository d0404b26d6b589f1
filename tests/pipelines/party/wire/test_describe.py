"""What an object looks like from outside: complete in size, silent about content."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from veilflow.components.devices.pyu import Failed
from veilflow.pipelines.party.wire.describe import Seen, describe, is_finite
from veilflow.pipelines.party.wire.proxy import RemoteFailure


@pytest.mark.parametrize(
    "value, seen",
    [
        (np.zeros((3, 2), "f4"), Seen("array", "float32", (3, 2), 1, 24)),
        (np.array(1), Seen("array", "int64", (), 1, 8)),
        (b"abc", Seen("bytes", size=3)),
        (bytearray(4), Seen("bytes", size=4)),
        (None, Seen("document", size=8)),
        ("äb", Seen("document", size=3)),
        (2**80, Seen("document", size=11)),
        (np.float32(1), Seen("document", size=8)),
        ([], Seen("document")),
        ({}, Seen("document")),
        ({"auc": 0.9, "n": [1, 2]}, Seen("document", items=3, size=24 + 4)),
        ([np.zeros(2), b"x", 1], Seen("bundle", items=3, size=16 + 1 + 8)),
        ({"a": {"b": np.zeros(1, "i1")}}, Seen("bundle", items=1, size=3)),
        (np.array(["x"], object), Seen("other", name="ndarray")),
        ([1, {2}], Seen("other", items=2, size=8, name="set")),
        ({(1, 2): 3}, Seen("other", items=2, size=8, name="tuple")),
        (Failed("bob", "3 rows"), Seen("failure")),
        (RemoteFailure("bob", "1f"), Seen("failure")),
    ],
    ids=str,
)
def test_kind_shape_items_and_bytes(value, seen):
    assert describe(value) == seen


@given(
    st.recursive(
        st.text() | st.binary() | st.integers() | st.text().map(np.str_) | st.binary().map(np.bytes_),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_no_text_bytes_or_number_hides_from_the_size(value):
    """Whatever holds data counts: keys of dicts and numpy's own text too."""

    def least(each):
        if isinstance(each, dict):
            return sum(least(key) + least(item) for key, item in each.items())
        if isinstance(each, list):
            return sum(map(least, each))
        return (each.bit_length() + 7) // 8 if isinstance(each, int) else len(each)

    seen = describe(value)
    assert seen.kind == "other" or seen.size >= least(value)


def test_a_failure_does_not_open_the_way_for_what_lies_next_to_it():
    assert describe([Failed("bob", "x"), np.zeros(3)]).kind == "bundle"
    assert describe([Failed("bob", "x"), "every row"]).kind == "document"
    assert describe([Failed("bob", "x"), Failed("bob", "x")]).kind == "failure"


@pytest.mark.parametrize("hidden", [np.zeros(3), ["x"], b"x", 5, "x" * 20000])
def test_a_failure_holds_short_texts_only(hidden):
    assert describe(Failed("bob", hidden)).kind == "other"


def test_a_small_message_that_stands_for_a_huge_tree_is_no_document():
    tree = [0]
    for _ in range(30):
        tree = [tree, tree]
    assert describe(tree).kind == "other"
    loop = []
    loop.append(loop)
    assert describe(loop).kind == "other"


@given(nps.arrays(st.sampled_from(["f2", "f4", "f8", "c8", "i4", "?"]), nps.array_shapes(min_side=0)))
def test_finite_means_every_cell_is(array):
    expected = bool(np.isfinite(array).all())
    assert is_finite(array) == is_finite({"a": [array]}) == is_finite((1, [array], float("nan"))) == expected


def test_a_total_that_overflows_is_still_finite():
    assert is_finite(np.full(4, np.finfo("f8").max))
    assert not is_finite(np.array([np.inf, -np.inf]))


@given(st.text(min_size=4).filter(lambda text: not text.isalpha()), nps.arrays("f8", 3))
def test_the_words_hold_no_value(secret, array):
    for value in (secret, [secret], {secret: 1}, array, Failed("bob", secret)):
        words = str(describe(value))
        assert secret not in words or secret in "document of 1 item(s) float64 array of shape [3] failure of 0 bytes"
