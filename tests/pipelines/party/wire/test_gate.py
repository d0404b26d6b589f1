"""The egress check: only what fits a line of the step's table may leave, or be taken; each dimension counts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.components.claims import ALL, PUBLISHED, Send, UnknownClaims
from veilflow.components.devices.labels import RUNTIME
from veilflow.components.devices.pyu import Failed
from veilflow.pipelines.party.wire.errors import EgressRefused, WireRefused
from veilflow.pipelines.party.wire.gate import Gate, Tag

LINE = Send("gradient", ("alice",), ("bob",), "array", "float32", ("batch", 4), max_bytes=1024, times=2)
TAG = Tag("train", "gradient")
BATCH = 8
GOOD = np.ones((BATCH, 4), np.float32)


def _gate(*lines, party="alice", sizes=(("batch", BATCH),)):
    gate = Gate(party)
    gate.open({"train": list(lines)})
    gate.sizes("train", dict(sizes))
    return gate


def test_what_the_line_says_passes_at_both_ends():
    assert _gate(LINE).admit_out(TAG, "bob", GOOD).shape == (BATCH, 4)
    assert _gate(LINE, party="bob").admit_in(TAG, "alice", GOOD).dtype == "float32"


DIFFERENT = {
    "another step": (Tag("predict", "gradient"), "bob", GOOD),
    "no step": (Tag("", "gradient"), "bob", GOOD),
    "another label": (Tag("train", "sent"), "bob", GOOD),
    "no label: a reveal or .to()": (Tag("train", ""), "bob", GOOD),
    "another receiver": (TAG, "carol", GOOD),
    "another dtype": (TAG, "bob", GOOD.astype(np.float64)),
    "one row more": (TAG, "bob", np.ones((BATCH + 1, 4), np.float32)),
    "one row less": (TAG, "bob", np.ones((BATCH - 1, 4), np.float32)),
    "another width": (TAG, "bob", np.ones((BATCH, 5), np.float32)),
    "another rank": (TAG, "bob", np.ones((BATCH, 4, 1), np.float32)),
    "flat": (TAG, "bob", np.ones(BATCH * 4, np.float32)),
    "a document": (TAG, "bob", [1.0]),
    "bytes": (TAG, "bob", b"x"),
    "a bundle": (TAG, "bob", [GOOD]),
    "objects": (TAG, "bob", np.full((BATCH, 4), None)),
    "not a number": (TAG, "bob", np.where(np.eye(BATCH, 4) == 1, np.nan, GOOD).astype(np.float32)),
    "infinite": (TAG, "bob", np.where(np.eye(BATCH, 4) == 1, -np.inf, GOOD).astype(np.float32)),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_anything_else_does_not_leave(case):
    tag, receiver, value = DIFFERENT[case]
    gate = _gate(LINE)
    with pytest.raises(EgressRefused, match=f"step '{tag.step or 'none'}' was about to send .* to {receiver}"):
        gate.admit_out(tag, receiver, value)
    gate.admit_out(TAG, "bob", GOOD)


@pytest.mark.parametrize("case", [case for case in DIFFERENT if case != "another receiver"])
def test_anything_else_is_not_taken(case):
    tag, _, value = DIFFERENT[case]
    with pytest.raises(WireRefused, match="alice sent"):
        _gate(LINE, party="bob").admit_in(tag, "alice", value)


def test_bytes_are_held_to_their_announced_number():
    gate = _gate(Send("masked", kind="bytes", shape=("masked_bytes",)), sizes=[("masked_bytes", 5)])
    tag = Tag("train", "masked")
    gate.admit_out(tag, "bob", b"12345")
    for wrong in (b"1234", b"123456", np.zeros(5, np.uint8)):
        with pytest.raises(EgressRefused, match="was about to send"):
            gate.admit_out(tag, "bob", wrong)
    unsaid = _gate(Send("masked", kind="bytes", shape=("masked_bytes",)), sizes=[])
    with pytest.raises(EgressRefused, match="was about to send"):
        unsaid.admit_out(tag, "bob", b"12345")


def test_a_longest_size_may_be_made_known_by_the_step():
    line = Send("ciphertexts", kind="bytes", max_bytes="longest")
    gate, tag = _gate(line, sizes=[("longest", 5)]), Tag("train", "ciphertexts")
    gate.admit_out(tag, "bob", b"123")
    with pytest.raises(EgressRefused, match="was about to send bytes of 6 bytes"):
        gate.admit_out(tag, "bob", b"123456")
    with pytest.raises(EgressRefused, match="was about to send"):
        _gate(line, sizes=[]).admit_out(tag, "bob", b"123")


def test_another_sender_is_not_taken_and_does_not_send():
    with pytest.raises(WireRefused, match="carol sent float32 array"):
        _gate(LINE, party="bob").admit_in(TAG, "carol", GOOD)
    with pytest.raises(EgressRefused, match=r"It may send bob: nothing\. Nothing was sent\."):
        _gate(LINE, party="carol").admit_out(TAG, "bob", GOOD)


def test_the_count_is_per_receiver_and_both_ends_count():
    gate, other = _gate(replace(LINE, to=(ALL,))), _gate(LINE, party="bob")
    for _ in range(2):
        gate.admit_out(TAG, "bob", GOOD)
        gate.admit_out(TAG, "carol", GOOD)
        other.admit_in(TAG, "alice", GOOD)
    with pytest.raises(EgressRefused):
        gate.admit_out(TAG, "bob", GOOD)
    with pytest.raises(WireRefused):
        other.admit_in(TAG, "alice", GOOD)


def test_a_count_starts_anew_with_another_run():
    gate = _gate(LINE)
    for _ in range(2):
        gate.admit_out(TAG, "bob", GOOD)
    gate.open({"train": [LINE]})
    gate.sizes("train", {"batch": BATCH})
    gate.admit_out(TAG, "bob", GOOD)


def test_a_count_by_name_is_what_the_step_has_said():
    line = replace(LINE, times="rounds")
    gate = _gate(line)
    with pytest.raises(EgressRefused):
        gate.admit_out(TAG, "bob", GOOD)
    gate.sizes("train", {"rounds": 1})
    gate.admit_out(TAG, "bob", GOOD)
    with pytest.raises(EgressRefused):
        gate.admit_out(TAG, "bob", GOOD)


def test_a_size_that_nobody_has_told_lets_nothing_out_but_may_come_in():
    """The receiver may hear the size later than the object; the sender knows it."""
    with pytest.raises(EgressRefused):
        _gate(LINE, sizes=()).admit_out(TAG, "bob", GOOD)
    assert _gate(LINE, party="bob", sizes=()).admit_in(TAG, "alice", GOOD)
    with pytest.raises(WireRefused):
        _gate(LINE, party="bob", sizes=()).admit_in(TAG, "alice", np.ones((BATCH, 5), np.float32))


def test_a_size_is_known_in_its_own_step_only():
    gate = Gate("alice")
    gate.open({"train": [LINE], "other": [LINE]})
    gate.sizes("other", {"batch": BATCH})
    with pytest.raises(EgressRefused):
        gate.admit_out(TAG, "bob", GOOD)


@pytest.mark.parametrize(
    "line, fits, exceeds",
    [
        (Send("x", max_items=2), ["a", "b"], ["a", "b", "c"]),
        (Send("x", max_bytes=3), "abc", "abcd"),
        (Send("x", max_bytes=12), {"abcd": 1}, {"abcde": 1}),
        (Send("x", kind="bytes", max_bytes=3), b"abc", b"abcd"),
        (Send("x", kind="array", max_bytes=16), np.zeros(2), np.zeros(3)),
        (Send("x", kind="bundle", max_items=2), [np.zeros(1), 1], [np.zeros(1), 1, 1]),
        (Send("x", kind="bundle", max_bytes=16), [np.zeros(1), 1], [np.zeros(2), 1]),
        (Send("x", kind="array", shape=()), np.array(1.0), np.zeros(1)),
        (Send("x", kind="array", shape=(None, 2)), np.zeros((99, 2)), np.zeros((99, 3))),
        (Send("x"), {"mean": 1.0}, {"mean": np.zeros(1)}),
    ],
    ids=str,
)
def test_items_and_bytes_have_an_end(line, fits, exceeds):
    gate = _gate(line)
    gate.admit_out(Tag("train", "x"), "bob", fits)
    with pytest.raises(EgressRefused):
        gate.admit_out(Tag("train", "x"), "bob", exceeds)


def test_a_line_for_anything_is_for_components_without_claims_only_and_never_the_runners_label():
    (line,) = UnknownClaims().sends(None)
    gate = _gate(line)
    for value in (GOOD, {"x": {1}}, np.full(2, None), np.array([np.nan])):
        gate.admit_out(Tag("train", ""), "bob", value)
    with pytest.raises(EgressRefused):
        gate.admit_out(Tag("train", RUNTIME), "bob", GOOD)


def test_the_runner_agrees_on_documents_in_any_step_and_on_nothing_else():
    gate = _gate()
    for step in ("", "train"):
        gate.admit_out(Tag(step, RUNTIME), "bob", {"outputs": [], "receipts": ["x"]})
        for value in (GOOD, b"x", "x" * (5 << 20)):
            with pytest.raises(EgressRefused):
                gate.admit_out(Tag(step, RUNTIME), "bob", value)


def test_before_any_plan_is_open_only_the_runner_may_send():
    for tag in (TAG, Tag("", "published"), Tag("", "")):
        with pytest.raises(EgressRefused):
            Gate("alice").admit_out(tag, "bob", [1])


def test_a_failure_passes_and_takes_nothing_along():
    gate = _gate()
    gate.admit_out(TAG, "bob", Failed("alice", "3 rows are not enough"))
    for smuggled in ([Failed("alice", "x"), GOOD], Failed("alice", "x" * 20000), Failed("alice", GOOD)):
        with pytest.raises(EgressRefused):
            gate.admit_out(TAG, "bob", smuggled)
        with pytest.raises(WireRefused):
            _gate(party="bob").admit_in(TAG, "alice", smuggled)


LINES = st.builds(
    Send,
    st.sampled_from(["a", "b"]),
    st.sampled_from([(ALL,), ("alice",), ("bob",)]),
    st.sampled_from([(ALL,), ("bob",), ("carol",)]),
    st.sampled_from(["document", "array", "bytes", "bundle"]),
    st.sampled_from([None, "float32", "int64"]),
    st.sampled_from([None, (), (2,), (None,), ("batch",), (2, None)]),
    st.integers(1, 3),
    st.integers(1, 40),
    st.sampled_from([None, 1, 2, "batch"]),
)
VALUES = st.sampled_from(
    [1, "text", [1, 2], b"x", np.zeros(2, "f4"), np.zeros(2, "i8"), np.zeros((2, 3), "f4"), [np.zeros(1)], np.array(1)]
)
OBJECTS = st.lists(st.tuples(st.sampled_from(["a", "b", ""]), st.sampled_from(["bob", "carol"]), VALUES), max_size=5)


def _admitted(lines, objects):
    gate, found = _gate(*lines, sizes=(("batch", 2),)), []
    for what, receiver, value in objects:
        try:
            gate.admit_out(Tag("train", what), receiver, value)
            found.append(True)
        except EgressRefused:
            found.append(False)
    return found


@given(st.lists(LINES, max_size=4), st.lists(LINES, max_size=3), OBJECTS)
def test_what_a_table_admits_a_larger_table_admits(lines, more, objects):
    for before, after in zip(_admitted(lines, objects), _admitted(lines + more, objects), strict=True):
        assert after or not before


@given(st.lists(LINES, max_size=4), OBJECTS)
def test_sender_and_receiver_judge_alike(lines, objects):
    for (what, receiver, value), out in zip(objects, _admitted(lines, objects), strict=True):
        gate = _gate(*lines, party=receiver, sizes=(("batch", 2),))
        if out:
            gate.admit_in(Tag("train", what), "alice", value)


def test_a_refusal_names_step_shapes_and_what_is_allowed_and_holds_no_value():
    secret = np.full((3, 4), 4711.25, np.float32)
    with pytest.raises(EgressRefused) as caught:
        _gate(LINE, PUBLISHED).admit_out(Tag("train", ""), "bob", secret)
    assert str(caught.value) == (
        "step 'train' was about to send float32 array of shape [3, 4] to bob without saying what it is. It may send "
        "bob: float32 array of shape ['batch', 4] 2 time(s) as 'gradient'; document as 'published'. Nothing was sent."
    )
    for value in ("PATIENT-4711", ["PATIENT-4711"] * 9999, {"PATIENT-4711": 1.0}, b"PATIENT-4711"):
        with pytest.raises(EgressRefused) as out:
            _gate(LINE).admit_out(TAG, "bob", value)
        with pytest.raises(WireRefused) as received:
            _gate(LINE, party="bob").admit_in(TAG, "alice", value)
        assert "4711" not in f"{out.value} {received.value}"
