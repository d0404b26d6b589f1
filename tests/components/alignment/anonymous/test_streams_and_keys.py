"""Streams, fixed point, orders, keys and routes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veilflow.components.alignment.anonymous import key_agreement as keys
from veilflow.components.alignment.anonymous import prg
from veilflow.components.alignment.anonymous.permutation import _places_by_number, random_order
from veilflow.components.alignment.anonymous.resharing import component, place
from veilflow.components.alignment.anonymous.ring import LIMIT, decode, encode
from veilflow.components.alignment.anonymous.routing import route
from veilflow.components.errors import ComponentError


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**40), st.integers(0, 30), st.integers(0, 7))
def test_any_rows_of_a_stream_are_those_of_the_whole(start, count, width):
    key = bytes(range(32))
    rows = prg.rows(key, start, count, width)
    assert rows.shape == (count, width)
    np.testing.assert_array_equal(rows, prg.rows_at(key, np.arange(start, start + count), width))
    np.testing.assert_array_equal(rows[3:], prg.rows(key, start + 3, max(0, count - 3), width)[: len(rows[3:])])


@pytest.mark.parametrize("width", [1, 2, 5, 40_001])
def test_streams_are_added_subtracted_and_written_in_place(width):
    key, count = bytes(range(32)), 7 if width > 5 else 70_001
    rows = prg.rows(key, 3, count, width)
    target = np.zeros((count, width, 2), np.uint64)
    prg.write(target[..., 1], key, 3)
    np.testing.assert_array_equal(target[..., 1], rows)
    assert not target[..., 0].any()
    prg.add(target[..., 0], key, 3)
    prg.subtract(target[..., 1], key, 3)
    np.testing.assert_array_equal(target[..., 0], rows)
    assert not target[..., 1].any()
    np.testing.assert_array_equal(rows, prg.rows_at(key, np.arange(3, 3 + count), width))


def test_streams_are_uniform_and_differ_by_key():
    one, other = prg.rows(bytes(32), 0, 20_000, 3), prg.rows(bytes([1] * 32), 0, 20_000, 3)
    bits = np.unpackbits(one.view(np.uint8)).mean()
    assert abs(bits - 0.5) < 0.002
    assert not np.intersect1d(one, other).size


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-(2.0**34), 2.0**34), min_size=1, max_size=20))
def test_fixed_point_is_within_half_a_unit(values):
    found = decode(encode([np.array(values)], ["x"], "t"))[:, 0]
    assert np.abs(found - values).max() <= 2.0**-19


def test_fixed_point_takes_integers_and_wraps_negative_numbers():
    found = encode([np.array([-1, 2]), np.array([0.25, -0.5])], ["a", "b"], "t")
    assert found.dtype == np.uint64
    assert found[0, 0] == 2**64 - 2**18
    np.testing.assert_array_equal(decode(found), [[-1, 0.25], [2, -0.5]])
    with pytest.raises(ComponentError, match="'b' \\(1\\)"):
        encode([np.array([1.0]), np.array([LIMIT])], ["a", "b"], "t")


def test_random_orders_are_permutations_without_a_pattern():
    assert sorted(random_order(1001)) == list(range(1001))
    assert len(random_order(0)) == 0
    seen = {tuple(random_order(4)) for _ in range(1500)}
    assert len(seen) == 24, "every order comes up"
    firsts = np.array([random_order(8)[0] for _ in range(4000)])
    assert np.bincount(firsts, minlength=8).min() > 400


def test_places_with_equal_numbers_are_shuffled():
    words = np.zeros(6, np.uint64)
    words[:2] = 1 << 40
    seen = {tuple(_places_by_number(words)) for _ in range(600)}
    assert {order[4:] for order in seen} == {(0, 1), (1, 0)}
    assert len({order[:4] for order in seen}) == 24
    mixed = np.array([5 << 10, 1 << 10, 5 << 10, 0], np.uint64)
    assert {tuple(_places_by_number(mixed)) for _ in range(60)} == {(3, 1, 0, 2), (3, 1, 2, 0)}


def test_pairs_and_holders_agree_and_others_do_not():
    names = ("a", "b", "c")
    exchange = {name: keys.new_exchange() for name in names}
    publics = {name: pair[1] for name, pair in exchange.items()}
    rings = {name: keys.agree(name, exchange[name][0], publics) for name in names}
    assert rings["a"].key("b", "rows", "a") == rings["b"].key("a", "rows", "a")
    several = [rings["a"].key(peer, *use) for peer in "bc" for use in (("rows", "a"), ("rows", "b"), ("carry", "a"))]
    assert len(set(several)) == 6
    group, sealed = keys.wrap_group_key(rings["a"], ("a", "b"))
    assert keys.unwrap_group_key(rings["b"], "a", sealed["b"]) == group
    assert group not in sealed["b"]
    with pytest.raises(ComponentError, match="group key"):
        keys.unwrap_group_key(rings["c"], "a", sealed["b"])
    assert group.hex() not in repr(rings["a"])
    assert rings["a"].pairs["b"].hex() not in repr(rings["a"])


def test_parties_that_saw_other_public_keys_get_other_secrets():
    exchange = {name: keys.new_exchange() for name in "abc"}
    publics = {name: pair[1] for name, pair in exchange.items()}
    forged = {**publics, "c": keys.new_exchange()[1]}
    assert keys.agree("a", exchange["a"][0], publics).pairs["b"] != keys.agree("b", exchange["b"][0], forged).pairs["a"]
    for bad in ("zz", "00" * 32, "11" * 31):
        with pytest.raises(ComponentError, match="no X25519 public key"):
            keys.agree("a", exchange["a"][0], {**publics, "b": bad})


@pytest.mark.parametrize("ranks", list(itertools.permutations("abc")))
def test_two_parties_hold_one_component_together_at_fitting_places(ranks):
    for one, other in itertools.permutations(ranks, 2):
        shared = component(ranks, one, other)
        assert shared == component(ranks, other, one)
        for party, peer in ((one, other), (other, one)):
            assert (ranks.index(party) + place(ranks, party, peer)) % 3 == shared


PLACES = [(h, r) for h in ("ab", "abd", "abdef") for r in ("abc", "cba", "abd", "ab", "ad", "bd") if {*r} <= {*h, "c"}]


@pytest.mark.parametrize(("holders", "ranks"), PLACES)
def test_no_route_gives_an_owner_its_own_rows(holders, ranks):
    for owner in (*holders, ""):
        way = route(owner, "c", tuple(holders), tuple(ranks))
        assert way.helper in ranks
        assert way.helper not in (owner, "c")
        assert way.carrier in ranks
        assert way.carrier != way.helper
        if len(ranks) == 3:
            assert sorted([way.helper, way.carrier, way.third]) == sorted(ranks)
            assert owner not in (way.helper, way.carrier)
        else:
            assert way.third is None
