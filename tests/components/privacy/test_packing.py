"""Packed sums are the integer sums, whatever the values; what could run over is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.packing import Slots, pack, unpack


@st.composite
def rounds(draw):
    """Slots that may be narrow or wide, and vectors that like the extremes."""
    bound = draw(st.sampled_from([1, 2, 7, 1000, 2**20 - 1, 2**31, 2**57]))
    clients = draw(st.integers(1, 9))
    slots = Slots(bound, clients, draw(st.integers(64, 700)))
    length = draw(st.integers(1, 60))
    values = st.one_of(st.sampled_from([-bound, bound, 0]), st.integers(-bound, bound))
    added = draw(st.integers(1, clients))
    return slots, [np.array(draw(st.lists(values, min_size=length, max_size=length)), np.int64) for _ in range(added)]


@given(rounds())
def test_the_sum_of_packed_vectors_is_the_packed_sum(case) -> None:
    slots, vectors = case
    total = [sum(column) for column in zip(*[pack(vector, slots) for vector in vectors], strict=True)]
    assert all(number.bit_length() <= slots.capacity for number in total)
    found = unpack(total, slots, vectors[0].size, len(vectors))
    assert found.dtype == np.int64
    assert found.tolist() == [sum(int(v[i]) for v in vectors) for i in range(vectors[0].size)]


def test_all_clients_at_their_bound_touch_no_neighbour() -> None:
    slots = Slots(1000, 3, 200)
    high, low = np.full(40, 1000), np.full(40, -1000)
    for vectors in ([high] * 3, [low] * 3, [high, low, high]):
        total = [sum(column) for column in zip(*[pack(v, slots) for v in vectors], strict=True)]
        assert (unpack(total, slots, 40, 3) == np.sum(vectors, axis=0)).all()


@pytest.mark.parametrize("value", [1001, -1001, 2**62])
def test_a_value_beyond_the_bound_is_refused_before_it_is_packed(value: int) -> None:
    with pytest.raises(ComponentError, match="exceeds the bound of 1000"):
        pack(np.array([0, value]), Slots(1000, 3, 200))


def test_slots_that_cannot_hold_a_sum_are_refused() -> None:
    with pytest.raises(ComponentError, match="need slots of 64 bits; at most 63 are possible"):
        Slots(2**61, 3, 3000)
    with pytest.raises(ComponentError, match="at most 10 are possible"):
        Slots(1000, 3, 10)


def test_a_sum_that_honest_clients_cannot_have_is_refused() -> None:
    slots = Slots(1000, 3, 200)
    (number,) = pack(np.full(slots.per_plaintext, 1000), slots)
    with pytest.raises(ComponentError, match="beyond its range"):
        unpack([3 * number], slots, 3, 2)  # three clients' worth of values in a sum of two
    with pytest.raises(ComponentError, match="beyond its slots"):
        unpack([1 << 199], slots, 3, 3)
    with pytest.raises(ComponentError, match="2 plaintexts do not hold 3 values"):
        unpack([number, number], slots, 3, 3)


def test_slots_are_as_narrow_as_the_sum_allows() -> None:
    assert Slots(10_000, 3, 2928).width == 16
    assert Slots(10_000, 3, 2928).per_plaintext == 183
    assert Slots(2**15, 3, 2928).plaintexts(13_426) == -(-13_426 // (2928 // 18))
