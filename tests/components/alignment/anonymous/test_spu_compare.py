"""Comparison inside the SPU: the padded inner join, and views that depend on nothing but sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veilflow.components.alignment.anonymous.interface import ABY3, CHEETAH
from veilflow.components.alignment.anonymous.packed_ids import pack
from veilflow.components.alignment.anonymous.spu_compare import protocol, replicated, sparse_table
from veilflow.components.errors import ComponentError

from .comparing import ComparingRecorder
from .recorder import at_holders, holding, opened, plan_of
from .test_coordinator import joined, sort_rows, table

ONE = 1 << 18
ORDERS = [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a")]


def run(tables, ranks=("a", "b", "c"), **others):
    holdings = {party: holding(people, values) for party, (people, values) in tables.items()}
    recorder = ComparingRecorder(ranks)
    plan = plan_of(holdings, ranks, "", ABY3, **others)
    return recorder, protocol.align(recorder, at_holders(holdings), plan, recorder.note)


def require_join(tables, shared, ranks):
    found, expected = opened(shared, ranks), joined(tables)
    member, rows = found[:, -1], found[:, :-1]
    assert set(member.tolist()) <= {0, ONE}
    np.testing.assert_array_equal(sort_rows(rows[member == ONE]), sort_rows(expected))
    assert not rows[member == 0].any(), "rows of people that are not common hold nothing"
    assert shared.matched is None
    assert shared.rows == len(found) == min(len(people) for people, _ in tables.values())
    assert shared.columns[-1].kind == "mask"


def made(a, b, columns=(2, 3)):
    return {
        party: (people, table(people, width, at))
        for at, (party, people, width) in enumerate((("a", a, columns[0]), ("b", b, columns[1])))
    }


@pytest.mark.parametrize("ranks", ORDERS)
@pytest.mark.parametrize("sizes", [(30, 50), (50, 30), (40, 40)])
def test_the_result_is_the_inner_join_and_rows_of_zeros(ranks, sizes):
    tables = made([f"p{i}" for i in range(sizes[0])], [f"p{i}" for i in range(20, 20 + sizes[1])])
    _, shared = run(tables, ranks)
    require_join(tables, shared, ranks)
    assert [column.owner for column in shared.columns] == ["a", "a", "b", "b", "b", ""]


@pytest.mark.parametrize(
    ("a", "b"),
    [((0, 1), (0, 1000)), ((0, 1000), (999, 1000)), ((0, 300), (0, 300)), ((0, 300), (300, 600)), ((0, 1), (5, 6))],
    ids=["one in a thousand", "a thousand and one", "all", "none", "one each"],
)
def test_skewed_sizes_and_extreme_overlaps(a, b):
    tables = made([f"身份{i}" for i in range(*a)], [f"身份{i}" for i in range(*b)], (1, 1))
    _, shared = run(tables)
    require_join(tables, shared, ("a", "b", "c"))


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_any_two_sets_of_ids(data):
    ids = st.text(st.characters(blacklist_categories=["Cs"]), max_size=40)
    pool = data.draw(st.lists(ids, min_size=1, max_size=25, unique=True))
    people = [data.draw(st.lists(st.sampled_from(pool), min_size=1, unique=True)) for _ in range(2)]
    tables = made(*people, columns=(data.draw(st.integers(0, 2)), data.draw(st.integers(1, 2))))
    _, shared = run(tables)
    require_join(tables, shared, ("a", "b", "c"))


def test_batches_change_nothing(monkeypatch):
    monkeypatch.setattr(protocol, "BATCH", 16)
    tables = made([f"p{i}" for i in range(90)], [f"p{i}" for i in range(30, 130)])
    recorder, shared = run(tables)
    require_join(tables, shared, ("a", "b", "c"))
    assert recorder.comparisons == [(16, 2)] * 5 + [(10, 2)], "one comparison per row"


def test_what_everybody_sees_depends_on_sizes_only():
    def seen(overlap):
        recorder, _ = run(made([f"p{i}" for i in range(200)], [f"p{i}" for i in range(200 - overlap, 460 - overlap)]))
        views = {
            party: [(sender, sent.dtype, sent.shape) for sender, sent in view] for party, view in recorder.views.items()
        }
        published = [sorted(each) if isinstance(each, dict) else each for each in recorder.published]
        return views, published, recorder.comparisons, recorder.notes

    assert seen(0) == seen(117) == seen(200)


def test_the_helper_sees_slots_and_numbers_that_look_uniform():
    """And would not, if the table were sent unmasked or tags were not keyed: both are tried here, too."""
    people = [f"p{i}" for i in range(400)]
    recorder, _ = run(made(people, people, (1, 1)))
    slots, *table_parts = [sent for _, sent in recorder.views["c"]][:6]
    size = sparse_table.part_size(400)
    spread = np.bincount((slots.ravel().astype(np.int64) * 8) // size, minlength=8)
    expected = slots.size / 8
    assert ((spread - expected) ** 2 / expected).sum() < 35, "chi-square of 7 degrees, one in 10^5"
    for part in table_parts:
        assert part.shape == (size, 2)
        assert len(np.unique(part)) == part.size, "an unmasked table is mostly zeros"
        ones = np.unpackbits(part.view(np.uint8)).mean()
        assert abs(ones - 0.5) < 5 * 0.5 / np.sqrt(part.size * 64)


def test_nothing_that_is_sent_repeats_between_runs():
    tables = made([f"p{i}" for i in range(150)], [f"p{i}" for i in range(150)])
    runs = [run(tables) for _ in range(2)]
    for party in "abc":
        one, other = ([sent for _, sent in recorder.views[party]] for recorder, _ in runs)
        for before, after in zip(one, other, strict=True):
            assert (before != after).mean() > 0.9


def test_the_teller_gets_nothing_but_the_product():
    recorder, _ = run(made([f"p{i}" for i in range(20)], [f"p{i}" for i in range(30)]))
    received = [(sender, sent.shape) for sender, sent in recorder.views["b"]]
    assert received == [("c", (20, 5))]


def test_too_few_common_people_end_the_run_and_only_that_is_opened():
    tables = made([f"p{i}" for i in range(20)], [f"p{i}" for i in range(13, 40)])
    assert run(tables, minimum=7)[0].published[-1] is True
    with pytest.raises(ComponentError, match="a and b have fewer than 8 people in common"):
        run(tables, minimum=8)


@pytest.mark.parametrize(("ranks", "spu"), [(("a", "b", "d"), CHEETAH), (("a", "b"), CHEETAH), (("a", "c", "d"), ABY3)])
def test_parties_that_do_not_fit_are_refused(ranks, spu):
    holdings = {party: holding(["x"], [[1]]) for party in ("a", "b")}
    plan = plan_of(holdings, ranks, "", spu)
    with pytest.raises(ComponentError, match="needs two holders and one party without a table"):
        protocol.require_possible(plan)


KEYS = (bytes(range(32)), bytes(range(32, 64)))


def ids_of(names):
    import pyarrow as pa

    return pack(pa.array(names, pa.large_string()))


@pytest.mark.parametrize("count", [1, 2, 10, 1000, 30_000])
def test_a_persons_slots_sum_to_its_row_and_a_strangers_do_not(count):
    size = sparse_table.part_size(count)
    _, slots = sparse_table.positions(ids_of([f"p{i}" for i in range(count)]), KEYS, size)
    rows = np.arange(2 * count, dtype=np.uint64).reshape(count, 2) + np.uint64(7)
    found = sparse_table.encode(slots, size, rows)
    np.testing.assert_array_equal(sum(found[part][slots[:, part]] for part in range(5)), rows)
    tags, strange = sparse_table.positions(ids_of([f"q{i}" for i in range(count)]), KEYS, size)
    there = sum(found[part][strange[:, part]] for part in range(5))
    assert not (there[:, 0] == tags).any()


def test_a_table_that_cannot_be_filled_says_so():
    slots = np.zeros((2, 5), np.int64)
    with pytest.raises(ComponentError, match="could not be filled"):
        sparse_table.encode(slots, 10, np.zeros((2, 1), np.uint64))


def test_tables_are_large_enough_for_the_stated_chance_of_failure():
    for rows in (1, 10, 1000, 10**5, 10**6, 10**8):
        size = sparse_table.part_size(rows)
        assert rows * rows / 2 / float(size) ** 5 <= 2.0**-40
        assert 5 * size / rows >= 1 / 0.7018


def test_products_of_shares_are_right():
    rng = np.random.default_rng(3)
    ranks = ("a", "b", "c")

    def shared(values):
        parts = rng.integers(0, 2**64, (3, *values.shape), dtype=np.uint64)
        parts[2] = values - parts[0] - parts[1]
        return {
            me: replicated.from_parts(np.stack([parts[at], parts[(at + 1) % 3]], -1), ranks, me)
            for at, me in enumerate(ranks)
        }

    left, right = (rng.integers(0, 2**64, (20, 2), dtype=np.uint64) for _ in range(2))
    streams = {frozenset(pair): rng.integers(0, 2**64, (20, 2), dtype=np.uint64) for pair in ("ab", "bc", "ac")}
    one, other = shared(left), shared(right)
    own = {
        me: replicated.product(
            one[me], other[me], ranks, me, {peer: streams[frozenset((me, peer))] for peer in ranks if peer != me}
        )
        for me in ranks
    }
    parts = {
        me: replicated.as_parts(
            replicated.product_shares(own[me], own[replicated.follower(ranks, me)], ranks, me), ranks, me
        )
        for me in ranks
    }
    np.testing.assert_array_equal(sum(part[..., 0] for part in parts.values()), left * right)
    for at, me in enumerate(ranks):
        np.testing.assert_array_equal(parts[me][..., 1], parts[ranks[(at + 1) % 3]][..., 0])
