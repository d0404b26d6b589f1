"""Two holders alone: the inner join, in an order that neither can relate to its rows."""

import secrets
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veilflow.components.alignment.anonymous.interface import ABY3, CHEETAH, NOT_HIDDEN, ROUNDED
from veilflow.components.alignment.anonymous.two_party import curve, matching, network, protocol, switching, transfer
from veilflow.components.errors import ComponentError

from .recorder import Recorder, at_holders, holding, opened, plan_of
from .test_coordinator import joined, sort_rows, table

ONE = 1 << 18


def run(tables, recorder=None, **others):
    holdings = {party: holding(people, values) for party, (people, values) in tables.items()}
    recorder = recorder or Recorder()
    plan = plan_of(holdings, tuple(tables), "", CHEETAH, **others)
    return recorder, protocol.align(recorder, at_holders(holdings), plan, recorder.note)


def made(a, b, columns=(2, 3)):
    return {
        party: (people, table(people, width, at))
        for at, (party, people, width) in enumerate((("a", a, columns[0]), ("b", b, columns[1])))
    }


@pytest.mark.parametrize(
    ("a", "b"),
    [((0, 40), (20, 90)), ((0, 1), (0, 150)), ((0, 150), (149, 150)), ((0, 130), (0, 130))],
    ids=["some", "one in many", "many and one", "all"],
)
def test_the_result_is_the_inner_join(a, b):
    tables = made([f"身份{i}" for i in range(*a)], [f"身份{i}" for i in range(*b)])
    _, shared = run(tables)
    np.testing.assert_array_equal(sort_rows(opened(shared, ("a", "b"))), sort_rows(joined(tables)))
    assert shared.matched == shared.rows == len(joined(tables))
    assert [column.owner for column in shared.columns] == ["a", "a", "b", "b", "b"]


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_any_two_sets_of_ids(data):
    ids = st.text(st.characters(blacklist_categories=["Cs"]), max_size=40)
    pool = data.draw(st.lists(ids, min_size=1, max_size=15, unique=True))
    people = [data.draw(st.lists(st.sampled_from(pool[1:]), unique=True)) if pool[1:] else [] for _ in range(2)]
    tables = made(*[[pool[0], *each] for each in people], columns=(1, data.draw(st.integers(0, 2))))
    _, shared = run(tables)
    np.testing.assert_array_equal(sort_rows(opened(shared, ("a", "b"))), sort_rows(joined(tables)))


def test_hidden_counts_bring_rows_of_zeros_and_a_mask():
    tables = made([f"p{i}" for i in range(60)], [f"p{i}" for i in range(40, 90)])
    recorder, shared = run(tables, hide_count=ROUNDED, settings={"epsilon": 2.0})
    found = opened(shared, ("a", "b"))
    assert shared.matched is None
    assert shared.columns[-1].kind == "mask"
    member, rows = found[:, -1], found[:, :-1]
    assert set(member.tolist()) <= {0, ONE}
    np.testing.assert_array_equal(sort_rows(rows[member == ONE]), sort_rows(joined(tables)))
    assert not rows[member == 0].any()
    half = protocol.padding_of(plan_of({}, hide_count=ROUNDED, settings={"epsilon": 2.0})).half
    assert 20 <= shared.rows <= 20 + 4 * half
    assert {(party, name) for party, name, _ in recorder.notes} >= {("a", "count_noise"), ("b", "count_noise")}


def test_under_the_same_noise_key_as_many_pool_points_come_along_every_time():
    salt, padding = bytes(16), protocol.padding_of(plan_of({}, hide_count=ROUNDED))
    names = [b"pool 2 %d" % at for at in range(2 * padding.half)]
    pool = set(map(bytes, curve.hash_points(names, matching._pool_salt(salt))))

    def along(noise):
        held = replace(holding(["p"], np.zeros((1, 1))), noise=noise)
        points = set(map(bytes, matching.make_list(held, salt, padding, first=True).points))
        return len(points & pool), frozenset(points & pool)

    keyed = [along(b"k" * 32) for _ in range(3)]
    assert len({count for count, _ in keyed}) == 1
    assert len({which for _, which in keyed}) == 3, "which ones is drawn anew"
    assert len({along(None)[0] for _ in range(9)}) > 1


def test_list_lengths_say_nothing_about_the_noise():
    def lengths():
        recorder, shared = run(
            made([f"p{i}" for i in range(9)], [f"p{i}" for i in range(5, 20)]), hide_count=ROUNDED,
            settings={"epsilon": 0.25},
        )  # fmt: skip
        return [len(sent) for _, sent in recorder.views["a"][:2]], shared.rows

    found = [lengths() for _ in range(6)]
    assert len({str(sizes) for sizes, _ in found}) == 1
    assert len({rows for _, rows in found}) > 1, "rows without noise would all be the same"


@pytest.mark.parametrize("hide_count", [NOT_HIDDEN, ROUNDED])
def test_nobody_in_common_ends_the_run(hide_count):
    tables = made(["x", "y"], ["z"])
    with pytest.raises(ComponentError, match="people in common; at least 20 are wanted"):
        run(tables, hide_count=hide_count, minimum=20)


def test_parties_that_do_not_fit_are_refused():
    holdings = {party: holding(["x"], [[1]]) for party in ("a", "b", "d")}
    with pytest.raises(ComponentError, match="two_party aligns two holders; there are 3"):
        protocol.require_possible(plan_of(holdings, ("a", "b"), "", CHEETAH))
    del holdings["d"]
    with pytest.raises(ComponentError, match="Choose such a device"):
        protocol.require_possible(plan_of(holdings, ("a", "b", "c"), "", ABY3))


@given(st.integers(1, 8), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_network_makes_every_permutation(level, random):
    goes = np.array(random.sample(range(1 << level), 1 << level))
    out = network.apply(network.route(goes), np.arange(1 << level))
    np.testing.assert_array_equal(out[goes], np.arange(1 << level))


def test_keys_of_a_transfer_are_the_chosen_one_and_an_unrelated_one():
    owner, chooser = transfer.Owner(), transfer.Chooser()
    owner.finish_base(chooser.answer(owner.start()))
    for count in (64, 192, 16384, 64):  # streams go on where they stopped
        choices = np.frombuffer(secrets.token_bytes(count), np.uint8) % 2 == 1
        chosen, message = chooser.choose(choices)
        keys = np.stack(owner.keys(message), axis=1)
        np.testing.assert_array_equal(chosen, keys[np.arange(count), choices.astype(int)])
        assert not (chosen == keys[np.arange(count), 1 - choices.astype(int)]).any()
        derived = [transfer.derive(each, bytes(16), 0, 3) for each in (keys[:, 0], keys[:, 1])]
        assert len(np.unique(np.concatenate(derived))) == 2 * 3 * count


def test_blinding_commutes_and_hashing_stays_on_the_curve():
    points = curve.hash_points([b"x", b"y", b"x"], bytes(16))
    assert (points[0] == points[2]).all()
    assert (points[0] != points[1]).any()
    one, other = curve.new_secret(), curve.new_secret()
    np.testing.assert_array_equal(
        curve.blind(one, curve.blind(other, points)), curve.blind(other, curve.blind(one, points))
    )
    many = curve.blind(one, curve.hash_points([b"%d" % i for i in range(40)], bytes(16)))
    assert all(curve.on_curve(int.from_bytes(point.tobytes(), "little")) for point in many), "the twist would show"


def test_a_point_of_small_order_is_refused():
    with pytest.raises(ComponentError, match="point of small order"):
        curve.blind(curve.new_secret(), np.zeros((1, 32), np.uint8))


def dealt():
    """Both sides of transfers, with base keys dealt: what Diffie-Hellman gives, a hundred times faster."""
    owner, chooser = transfer.Owner.__new__(transfer.Owner), transfer.Chooser()
    owner._bits = np.frombuffer(secrets.token_bytes(16), np.uint8)
    owner._choices = np.unpackbits(owner._bits, bitorder="little")
    keys = [[secrets.token_bytes(32) for _ in range(128)] for _ in range(2)]
    chooser._streams = tuple(transfer._Streams(each) for each in keys)
    owner._streams = transfer._Streams([keys[choice][at] for at, choice in enumerate(owner._choices)])
    return owner, chooser


@pytest.mark.parametrize(("rows", "columns", "wanted"), [(1, 1, 1), (128, 2, 128), (129, 3, 5), (300, 1, 0)])
def test_switching_gives_shares_of_the_chosen_rows(rows, columns, wanted):
    rng = np.random.default_rng(rows)
    values = rng.integers(0, 2**64, (rows, columns), dtype=np.uint64)
    chosen = rng.permutation(rows)[:wanted]
    owner, chooser = dealt()
    theirs, masked = switching.OwnerSide.start(owner, bytes(16), values)
    mine = switching.ChooserSide.start(chooser, bytes(16), rows, chosen)
    mine.values = masked.copy()
    assert not (masked[:rows] == values).any()
    for number, stride in enumerate(network.strides(switching.levels(rows))):
        mine.layer(number, stride, theirs.layer(number, stride, mine.choose(number)))
    np.testing.assert_array_equal(theirs.share(wanted) + mine.share(wanted), values[chosen])
