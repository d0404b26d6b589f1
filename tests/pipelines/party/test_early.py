"""A party reads its first file before its turn, once, and what comes of it is told in the file's own step."""

import threading
from types import SimpleNamespace

import pytest

from veilflow.components.devices.early import begun
from veilflow.pipelines.party.early import Early


def step(name, reads=(), needs=()):
    return SimpleNamespace(name=name, reads=tuple(reads), needs=dict.fromkeys(needs))


def plan(*steps):
    return SimpleNamespace(steps=steps)


PLAN = plan(
    step("theirs", [("alice", "a.csv")]),
    step("ours", [("bob", "b.csv")]),
    step("ours_too", [("bob", "c.csv")]),
)


def key_of(found):
    return f"key of {found.name}"


def taken(early, node, work=lambda: "read at its turn"):
    return begun(SimpleNamespace(early=early.take(node)), work)()


def test_the_first_file_of_this_party_is_read_at_once_and_no_other():
    asked, read = [], threading.Event()

    def begin(found, _):
        asked.append(found.name)
        return lambda: read.set() or "read early"

    early = Early("bob", PLAN, key_of, begin)
    assert read.wait(10), "nobody has asked for it yet"
    assert [taken(early, name) for name in ("ours", "ours_too")] == ["read early", "read at its turn"]
    assert asked == ["ours"]


def test_what_was_read_is_handed_over_once():
    early = Early("bob", PLAN, key_of, lambda *_: lambda: "read early")
    assert [taken(early, "ours"), taken(early, "ours")] == ["read early", "read at its turn"]


def test_a_failure_is_raised_in_its_step():
    def broken():
        raise ValueError("not a table")

    early = Early("bob", PLAN, key_of, lambda *_: broken)
    with pytest.raises(ValueError, match="not a table"):
        taken(early, "ours")


@pytest.mark.parametrize("begin", [lambda *_: None, lambda *_: 1 / 0], ids=["finished already", "impossible settings"])
def test_what_is_not_begun_is_done_in_its_step(begin):
    assert taken(Early("bob", PLAN, key_of, begin), "ours") == "read at its turn"


def test_a_step_that_takes_something_from_others_is_not_begun():
    early = Early(
        "bob", plan(step("ours", [("bob", "b.csv")], needs=["theirs.table"])), key_of, lambda *_: lambda: "early"
    )
    assert early.take("ours") is None


def test_a_party_without_files_and_other_contexts_have_nothing_begun():
    assert Early("carol", PLAN, key_of, lambda *_: lambda: "early").take("ours") is None
    assert begun(SimpleNamespace(), lambda: "read")() == "read"


def test_what_was_read_is_stored_under_the_key_of_the_file_as_it_was_then():
    contents = ["old"]
    read = threading.Event()
    early = Early("bob", PLAN, lambda found: f"{found.name} {contents[0]}", lambda *_: lambda: read.set() or "old rows")
    assert read.wait(10)
    contents[0] = "new"
    assert early.key("theirs") is None
    assert early.key("ours") == "ours old"
    assert taken(early, "ours") == "old rows"


def test_a_key_that_cannot_be_made_is_raised_where_the_step_asks_for_it():
    early = Early("bob", PLAN, lambda _: 1 / 0, lambda *_: lambda: "early")
    with pytest.raises(ZeroDivisionError):
        early.key("ours")
    assert taken(early, "ours") == "read at its turn"
