"""What comes out of the coordinator protocol is the inner join, whatever the overlap, the sizes and the parties."""

import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veilflow.components.alignment.anonymous.coordinator import protocol
from veilflow.components.alignment.anonymous.coordinator.coordinator import certain, join, match, padded
from veilflow.components.alignment.anonymous.interface import ABY3, CHEETAH, FULL, NOT_HIDDEN, ROUNDED
from veilflow.components.errors import ComponentError

from .recorder import Local, Recorder, at_holders, holding, opened, plan_of, shares

PLACES = {
    "coordinator inside ABY3": (("a", "b"), ("a", "b", "c"), "c", ABY3),
    "ranks in another order": (("a", "b"), ("c", "b", "a"), "c", ABY3),
    "three holders, one outside": (("a", "b", "d"), ("a", "b", "c"), "c", ABY3),
    "three holders, coordinator outside": (("a", "b", "d"), ("a", "b", "d"), "c", ABY3),
    "two parties, coordinator outside": (("a", "b"), ("a", "b"), "c", CHEETAH),
    "three holders, two-party SPU": (("a", "b", "d"), ("a", "d"), "c", CHEETAH),
    "five holders": (("a", "b", "d", "e", "f"), ("a", "c", "f"), "c", ABY3),
}


def table(people, columns, start):
    """Values that name the person and the column, so that a wrong pairing shows."""
    return np.array([[start + 1000 * hash_of(who) + at for at in range(columns)] for who in people], np.int64).reshape(
        len(people), columns
    )


def hash_of(who):
    return int.from_bytes(who.encode(), "big") % (1 << 30)


def run(tables, ranks, coordinator, spu, **others):
    holdings = {party: holding(people, values) for party, (people, values) in tables.items()}
    recorder = Recorder()
    plan = plan_of(holdings, ranks, coordinator, spu, **others)
    return recorder, protocol.align(recorder, at_holders(holdings), plan, recorder.note)


def joined(tables):
    frames = [
        pd.DataFrame(values, columns=[f"{party}{i}" for i in range(values.shape[1])], index=list(people))
        for party, (people, values) in tables.items()
    ]
    return pd.concat(frames, axis=1, join="inner").to_numpy(np.int64)


def sort_rows(matrix):
    return matrix[np.lexsort(matrix.T[::-1])] if matrix.size else matrix


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("hide_count", [NOT_HIDDEN, ROUNDED, FULL])
def test_the_result_is_the_inner_join(place, hide_count):
    holders, ranks, coordinator, spu = PLACES[place]
    tables = {party: ([f"p{i}" for i in range(at, 40 + 2 * at)], at) for at, party in enumerate(holders)}
    tables = {party: (people, table(people, 1 + at, at)) for party, (people, at) in tables.items()}
    _, shared = run(tables, ranks, coordinator, spu, hide_count=hide_count)
    found, expected = opened(shared, ranks), joined(tables)
    assert set(shared.parts) == set(ranks)
    assert len(found) == shared.rows
    assert [column.owner for column in shared.columns if column.owner] == [
        party for at, party in enumerate(holders) for _ in range(1 + at)
    ]
    if hide_count == NOT_HIDDEN:
        assert shared.matched == shared.rows == len(expected)
    else:
        assert shared.matched is None
        assert shared.rows >= len(expected)
        assert shared.columns[-1].kind == "mask"
        member, found = found[:, -1], found[:, :-1]
        assert set(member) <= {0, 1 << 18}
        found = found[member == 1 << 18]
    np.testing.assert_array_equal(sort_rows(found), sort_rows(expected))


ID = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_overlap_and_size_gives_the_inner_join(data):
    pool = data.draw(st.lists(ID, max_size=30, unique=True))
    tables = {}
    for at, party in enumerate(("a", "b")):
        people = data.draw(st.lists(st.sampled_from(pool), unique=True) if pool else st.just([]))
        tables[party] = (people, table(people, data.draw(st.integers(1, 3)), at))
    _, shared = run(tables, ("a", "b", "c"), "c", ABY3)
    np.testing.assert_array_equal(sort_rows(opened(shared, ("a", "b", "c"))), sort_rows(joined(tables)))


@pytest.mark.parametrize(
    "sizes", [(1, 1000, 0), (1000, 1, 999), (500, 500, 0), (500, 500, 500), (0, 5, 0)],
    ids=["one in a thousand", "a thousand and one", "all", "none", "nobody"],
)  # fmt: skip
def test_skewed_sizes_and_extreme_overlaps(sizes):
    mine, yours, start = sizes
    tables = {"a": [f"身份{i}" for i in range(mine)], "b": [f"身份{i}" for i in range(start, start + yours)]}
    tables = {party: (people, table(people, 2, at)) for at, (party, people) in enumerate(tables.items())}
    _, shared = run(tables, ("a", "b", "c"), "c", ABY3)
    np.testing.assert_array_equal(sort_rows(opened(shared, ("a", "b", "c"))), sort_rows(joined(tables)))


def test_blocks_and_waiting_change_nothing(monkeypatch):
    monkeypatch.setattr(protocol, "BLOCK_WORDS", 16)
    monkeypatch.setattr(protocol, "WINDOW", 3)
    people = {"a": [f"p{i}" for i in range(90)], "b": [f"p{i}" for i in range(30, 100)]}
    tables = {party: (ids, table(ids, 3, at)) for at, (party, ids) in enumerate(people.items())}
    recorder, shared = run(tables, ("a", "b", "c"), "c", ABY3, hide_count=ROUNDED)
    found = opened(shared, ("a", "b", "c"))
    np.testing.assert_array_equal(sort_rows(found[found[:, -1] > 0][:, :-1]), sort_rows(joined(tables)))
    assert len(recorder.published) > 4, "parties wait for each other"


def test_order_shares_and_messages_are_fresh_each_run():
    people = [f"p{i}" for i in range(200)]
    tables = {party: (people, table(people, 1, at)) for at, party in enumerate(("a", "b"))}
    runs = [run(tables, ("a", "b", "c"), "c", ABY3) for _ in range(2)]
    first, second = (opened(shared, ("a", "b", "c"))[:, 0] for _, shared in runs)
    assert (first != second).mean() > 0.9
    for party in "abc":
        one, other = (shares(shared)[party] for _, shared in runs)
        assert not np.intersect1d(one, other).size
        arrays = [[sent for _, sent in recorder.views[party] if isinstance(sent, np.ndarray)] for recorder, _ in runs]
        for before, after in zip(*arrays, strict=True):
            assert (before != after).mean() > 0.9
    order = np.argsort(first)
    assert abs(np.corrcoef(np.arange(200), order)[0, 1]) < 0.4


def test_an_owner_in_the_spu_gets_no_message_about_its_own_rows():
    """Of what ``a`` receives, everything is about b's list: the number of arrays and their shapes say so."""
    people = [f"p{i}" for i in range(50)]
    tables = {"a": (people[:40], table(people[:40], 3, 0)), "b": (people[10:], table(people[10:], 2, 1))}
    recorder, _ = run(tables, ("a", "b", "c"), "c", ABY3)
    shapes = {
        party: sorted((sender, np.shape(sent)) for sender, sent in view if isinstance(sent, np.ndarray))
        for party, view in recorder.views.items()
    }
    assert shapes == {
        "a": [("b", (40, 2)), ("c", (30,)), ("c", (30, 2))],
        "b": [("a", (40, 3)), ("c", (30,)), ("c", (30, 3))],
        "c": [("a", (30, 2)), ("a", (40, 2)), ("b", (30, 3)), ("b", (40, 2))],
    }


def test_a_small_overlap_stops_the_run_without_saying_how_small():
    tables = {party: (people, table(people, 1, 0)) for party, people in (("a", ["x", "y"]), ("b", ["y", "z"]))}
    with pytest.raises(ComponentError, match="fewer than 2 people") as refused:
        run(tables, ("a", "b", "c"), "c", ABY3, minimum=2)
    assert "1" not in str(refused.value)
    assert run(tables, ("a", "b", "c"), "c", ABY3, minimum=1)[1].rows == 1


@pytest.mark.parametrize(
    ("holders", "ranks", "coordinator", "spu", "why"),
    [
        (("a", "b"), ("a", "b", "c"), "b", ABY3, "cannot be the coordinator"),
        (("a",), ("a", "b", "c"), "c", ABY3, "two parties or more"),
        (("a", "b"), ("a", "c"), "c", CHEETAH, "would know both"),
    ],
)
def test_parties_that_would_not_be_safe_are_refused(holders, ranks, coordinator, spu, why):
    tables = {party: (["x"], table(["x"], 1, 0)) for party in holders}
    with pytest.raises(ComponentError, match=why):
        run(tables, ranks, coordinator, spu)


def test_every_protection_leaves_a_note_where_it_fired():
    people = [f"p{i}" for i in range(20)]
    tables = {party: (people, table(people, 2, 0)) for party in ("a", "b")}
    recorder, shared = run(tables, ("a", "b", "c"), "c", ABY3, hide_count=FULL)
    notes = {(party, name) for party, name, _ in recorder.notes}
    assert {(party, "key_agreement") for party in "abc"} <= notes
    assert {(party, "shuffle") for party in "abc"} <= notes
    assert {(party, "re_mask") for party in "abc"} <= notes
    assert ("c", "count_padding") in notes
    masked = [found for party, name, found in recorder.notes if name == "re_mask" and party == "b"]
    assert {"rows": shared.rows, "columns": 2, "owner": "a"} in masked


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), unique=True), st.data())
def test_joins_survive_numbers_that_begin_alike(pairs, data):
    one = np.array(pairs, np.uint64).reshape(-1, 2)
    chosen = data.draw(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), unique=True))
    other = np.array(chosen, np.uint64).reshape(-1, 2)
    here, there = join([one, other])
    found = {(tuple(one[at]), tuple(other[to])) for at, to in zip(here, there, strict=True)}
    assert found == {(pair, pair) for pair in set(pairs) & set(chosen)}
    assert len(here) == len(found)


def test_joins_survive_equal_first_halves():
    one = np.array([[5, 1], [5, 2], [7, 3], [8, 4]], np.uint64)
    other = np.array([[7, 3], [5, 2], [5, 9], [8, 5], [5, 1]], np.uint64)
    here, there = join([one, other])
    assert sorted(zip(here, there, strict=True)) == [(0, 4), (1, 1), (2, 0)]
    here, there = join([other[[0, 1, 3]], one[[1, 2, 3]]])
    assert sorted(zip(here, there, strict=True)) == [(0, 1), (1, 0)]


@pytest.mark.parametrize("matched", [0, 1, 5, 7, 8, 9, 100, 1000, 12345])
def test_rounded_counts_hide_all_but_three_binary_digits(matched):
    rows = padded(matched, 10**6, ROUNDED)
    assert max(1, matched) <= rows <= max(1, matched * 1.25)
    assert rows.bit_length() <= 3 or rows % (1 << (rows.bit_length() - 3)) == 0
    assert padded(matched, matched, ROUNDED) == matched
    assert padded(matched, 10**6, FULL) == 10**6


@given(st.integers(0, 300), st.integers(0, 300), st.sampled_from([NOT_HIDDEN, ROUNDED, FULL]), st.integers(0, 20))
def test_rows_that_are_people_for_certain_are_no_more_than_the_number_of_rows_tells(matched, more, hide_count, minimum):
    smallest, minimum = matched + more, min(minimum, matched)
    rows = padded(matched, smallest, hide_count)
    known = certain(rows, smallest, hide_count, minimum)
    assert minimum <= known <= matched or hide_count == NOT_HIDDEN
    if hide_count == ROUNDED:  # somebody with so few people in common would have had as many rows
        assert known == minimum or padded(known, smallest, hide_count) == rows
    if hide_count == NOT_HIDDEN:
        assert known == matched


def test_people_for_certain_stand_first_and_are_drawn_from_all_of_them():
    lists = [np.arange(2 * 50, dtype=np.uint64).reshape(50, 2), np.arange(2 * 44, dtype=np.uint64).reshape(44, 2)]
    ends = set()
    for _ in range(30):
        found = match(lists, ROUNDED, 0)  # 44 are common and as many rows come out
        assert found.member.all()
        shorter = match([lists[0][:43], lists[1]], FULL, 20)
        assert shorter.member[:20].all()
    for _ in range(60):
        mixed = match([lists[0][:49], np.concatenate([lists[1][:41], 10**6 + lists[1][:9]])], ROUNDED, 0)
        known = certain(len(mixed.member), 49, ROUNDED, 0)
        assert (known, len(mixed.member)) == (41, 48)
        assert mixed.member[:known].all()
        ends.add(int(mixed.positions[0][0]))
    assert len(ends) > 15


def people_first(noise, choice=None):
    """The values of the people who stand first, of 400 in common of which 385 are so for certain; and their order."""
    tables = {"a": [f"p{i}" for i in range(450)], "b": [f"p{i}" for i in range(50, 500)]}
    values = np.arange(450)[:, None]
    holdings = {party: replace(holding(people, values), noise=noise) for party, people in tables.items()}
    recorder = Recorder()
    settings = {"choice": Local("c", choice)} if choice else {}
    plan = plan_of(holdings, ("a", "b", "c"), "c", ABY3, hide_count=ROUNDED, settings=settings)
    shared = protocol.align(recorder, at_holders(holdings), plan, recorder.note)
    assert (shared.rows, shared.certain) == (448, 385)
    return opened(shared, ("a", "b", "c"))[:385, 0].tolist()


def test_the_same_people_are_so_for_certain_every_time_or_scores_of_two_runs_would_count_all():
    """Of 400 in common other 385 stood first in every run: the overlap of two runs told the 400, to within 2."""
    one, other = people_first(bytes(32), b"c" * 32), people_first(bytes(32), b"c" * 32)
    assert set(one) == set(other)
    assert one != other, "in another order"
    assert set(one) != set(people_first(bytes(32), b"d" * 32)), "holders know pseudonyms, not whom it takes"
    fresh, again = people_first(None), people_first(None)
    assert abs(385**2 / len(set(fresh) & set(again)) - 400) < 8, "what it would tell"


def test_padding_rows_are_distinct_people_who_do_not_match():
    one = np.arange(20, dtype=np.uint64).repeat(2).reshape(20, 2)
    found = match([one, one[5:15]], FULL, 0)
    assert found.matched == 10
    assert len(found.member) == 10
    found = match([one, one[::-1][:12] + np.uint64(10_000) * (np.arange(12) % 2).astype(np.uint64)[:, None]], FULL, 0)
    assert found.matched == 6
    assert found.member.sum() == 6
    for places in found.positions:
        assert len(set(places.tolist())) == 12


@pytest.mark.parametrize("rows", [100_000, *([1_000_000] if os.environ.get("VEILFLOW_FULL") else [])])
def test_many_rows_are_the_inner_join(rows):
    """Row by row; a million with VEILFLOW_FULL=1."""
    numbers = {"a": np.arange(rows), "b": np.arange(rows // 2, rows // 2 + rows)}
    tables = {
        party: ([f"p{number:08d}" for number in found], np.stack([found * 7 + at, found * -3], axis=1))
        for at, (party, found) in enumerate(numbers.items())
    }
    _, shared = run(tables, ("a", "b", "c"), "c", ABY3)
    expected = pd.merge(
        *(
            pd.DataFrame(values, columns=[f"{party}0", f"{party}1"]).assign(person=people)
            for party, (people, values) in tables.items()
        ),
        on="person",
    ).drop(columns="person")[["a0", "a1", "b0", "b1"]]
    found = opened(shared, ("a", "b", "c"))
    np.testing.assert_array_equal(sort_rows(found), sort_rows(expected.to_numpy(np.int64)))
