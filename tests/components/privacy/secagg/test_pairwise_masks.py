"""Masks cancel exactly, hide completely, and an incomplete round opens nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.bits import packed_size, unpack_bits
from veilflow.components.privacy.secagg import pairwise_masks as masks

NAMES = [f"client_{i}" for i in range(6)]
KEYS = {name: masks.new_key() for name in NAMES}


def secrets_of(names: list[str]) -> dict[str, dict[str, bytes]]:
    publics = {name: KEYS[name][1] for name in names}
    return {name: masks.agree(KEYS[name][0], name, publics) for name in names}


ALL = secrets_of(NAMES)


def masked(vectors: dict[str, np.ndarray], round: int, bound: int, roster: list[str] | None = None) -> dict:
    roster = roster or list(vectors)
    width = masks.ring(bound, len(NAMES))
    return {name: masks.mask(x, name, ALL[name], roster, round, width) for name, x in vectors.items()}


def opened(sent: dict, roster: list[str], bound: int, size: int) -> np.ndarray:
    return masks.open_sum(sent, roster, bound, masks.ring(bound, len(NAMES)), size)


BOUNDS = st.one_of(st.sampled_from([1, 3, 42, 127, 1000, 2**28, 2**40, 2**59]), st.integers(1, 2**59))


@given(st.data(), st.integers(2, 6), st.integers(1, 70), BOUNDS)
@settings(max_examples=80)
def test_masks_cancel_exactly(data, clients, size, bound) -> None:
    values = st.lists(
        st.one_of(st.sampled_from([-bound, bound, 0]), st.integers(-bound, bound)), min_size=size, max_size=size
    )
    names = data.draw(st.permutations(NAMES))[:clients]
    vectors = {name: np.array(data.draw(values), np.int64) for name in names}
    sent = masked(vectors, 7, bound)
    assert {len(raw) for raw in sent.values()} == {packed_size(size, masks.ring(bound, len(NAMES)))}
    found = opened(sent, names, bound, size)
    assert found.dtype == np.int64
    assert found.tolist() == [sum(int(v[i]) for v in vectors.values()) for i in range(size)]


@pytest.mark.parametrize("bound", [20, 127, 1000, 2**40])
def test_a_masked_vector_and_the_sum_of_all_but_one_are_uniform(bound: int) -> None:
    size, width = 100_000, masks.ring(bound, len(NAMES))
    sent = masked({name: np.full(size, 5) for name in NAMES[:3]}, 1, bound)
    residues = {name: unpack_bits(raw, width, size) for name, raw in sent.items()}
    partial = residues[NAMES[0]] + residues[NAMES[1]]
    for hidden in (*residues.values(), partial):
        for low in range(0, width - 3, 4):
            nibble = (hidden >> np.uint64(low)) & np.uint64(15)
            assert stats.chisquare(np.bincount(nibble.astype(np.int64), minlength=16)).pvalue > 1e-9
    same = stats.chisquare(np.bincount(np.full(size, 5, np.uint8), minlength=256)).pvalue
    assert same < 1e-9, "the test sees bytes that are not uniform"


def test_a_client_lost_after_masking_opens_nothing_and_a_repeat_without_it_is_exact() -> None:
    vectors = {name: np.arange(9) * (i + 1) for i, name in enumerate(NAMES[:4])}
    first = masked(vectors, 0, 1000)
    rest = {name: x for name, x in first.items() if name != NAMES[2]}
    with pytest.raises(ComponentError, match=r"client_2 breaks the round's roster\. Nothing was opened"):
        opened(rest, NAMES[:4], 1000, 9)
    with pytest.raises(ComponentError, match="beyond its bound"):
        opened(rest, list(rest), 1000, 9)  # what is left is masks, not a sum
    others = {name: vectors[name] for name in rest}
    again = masked(others, 1, 1000)
    assert (opened(again, list(others), 1000, 9) == np.sum(list(others.values()), axis=0)).all()
    for name in others:
        assert first[name] != again[name], "a repeat uses other masks"


def test_rounds_and_rosters_have_masks_of_their_own() -> None:
    zero, name = np.zeros(500, np.int64), NAMES[0]
    streams = [
        masks.mask(zero, name, ALL[name], roster, round, 64)
        for roster in (NAMES[:3], NAMES[:4])
        for round in (0, 1, 2**40)
    ]
    assert len(set(streams)) == len(streams)


def test_both_ends_agree_and_nobody_else() -> None:
    assert ALL["client_0"]["client_1"] == ALL["client_1"]["client_0"]
    assert len({secret for own in ALL.values() for secret in own.values()}) == 15
    other = secrets_of(NAMES[:3])
    assert other["client_0"]["client_1"] != ALL["client_0"]["client_1"], "secrets belong to a roster of keys"


def test_a_key_swapped_under_way_makes_the_total_noise_and_the_round_is_discarded() -> None:
    publics = {name: KEYS[name][1] for name in NAMES[:3]}
    lied = {**publics, "client_2": masks.new_key()[1]}
    own = {name: masks.agree(KEYS[name][0], name, lied if name == "client_0" else publics) for name in publics}
    width = masks.ring(1000, 3)
    sent = {n: masks.mask(np.zeros(200, np.int64), n, own[n], list(publics), 0, width) for n in publics}
    with pytest.raises(ComponentError, match="beyond its bound"):
        masks.open_sum(sent, list(publics), 1000, width, 200)


@pytest.mark.parametrize("key", [bytes(32), b"short"])
def test_an_invalid_public_key_is_refused(key: bytes) -> None:
    with pytest.raises(ComponentError, match="public key of client_1 is not valid"):
        masks.agree(KEYS["client_0"][0], "client_0", {"client_0": KEYS["client_0"][1], "client_1": key})


@given(st.integers(1, 2**59), st.integers(2, 8))
def test_the_ring_holds_every_sum_and_is_no_wider_than_that(bound, clients) -> None:
    width = masks.ring(bound, clients)
    assert 2 ** (width - 1) > bound * clients >= 2 ** (width - 2)


def test_a_vector_of_another_length_is_refused() -> None:
    sent = masked({name: np.arange(9) for name in NAMES[:2]}, 0, 1000)
    with pytest.raises(ComponentError, match="bytes were received for 10 numbers"):
        opened(sent, NAMES[:2], 1000, 10)
