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


def taken(early, node, work=lambda: "read at its turn"):
    return begun(SimpleNamespace(early=early.take(node)), work)()


def test_the_first_file_of_this_party_is_read_at_once_and_no_other():
    asked, read = [], threading.Event()

    def begin(found):
        asked.append(found.name)
        return lambda: read.set() or "read early"

    early = Early("bob", PLAN, begin)
    assert read.wait(10), "nobody has asked for it yet"
    assert [taken(early, name) for name in ("ours", "ours_too")] == ["read early", "read at its turn"]
    assert asked == ["ours"]


def test_what_was_read_is_handed_over_once():
    early = Early("bob", PLAN, lambda _: lambda: "read early")
    assert [taken(early, "ours"), taken(early, "ours")] == ["read early", "read at its turn"]


def test_a_failure_is_raised_in_its_step():
    def broken():
        raise ValueError("not a table")

    early = Early("bob", PLAN, lambda _: broken)
    with pytest.raises(ValueError, match="not a table"):
        taken(early, "ours")


@pytest.mark.parametrize("begin", [lambda _: None, lambda _: 1 / 0], ids=["finished already", "impossible settings"])
def test_what_is_not_begun_is_done_in_its_step(begin):
    assert taken(Early("bob", PLAN, begin), "ours") == "read at its turn"


def test_a_step_that_takes_something_from_others_is_not_begun():
    early = Early("bob", plan(step("ours", [("bob", "b.csv")], needs=["theirs.table"])), lambda _: lambda: "early")
    assert early.take("ours") is None


def test_a_party_without_files_and_other_contexts_have_nothing_begun():
    assert Early("carol", PLAN, lambda _: lambda: "early").take("ours") is None
    assert begun(SimpleNamespace(), lambda: "read")() == "read"
