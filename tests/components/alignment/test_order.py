"""The common order is the same at both holders, says nothing about the IDs, and comes with a proof."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.components.alignment.anonymous.packed_ids import pack
from veilflow.components.alignment.order import common_order, new_exchange, pseudonyms, session_key

keys = st.lists(st.text(max_size=12), unique=True, max_size=40)
SECRET = b"k" * 32


def ordered(people, secret=SECRET):
    return common_order(pseudonyms(pack(pa.array(people, pa.large_string())), secret), secret)


@given(keys, st.randoms(use_true_random=False))
def test_both_holders_order_the_same_people_alike_wherever_their_rows_stand(people, random):
    shuffled = random.sample(people, len(people))
    one, proof = ordered(people)
    other, peers_proof = ordered(shuffled)
    assert [people[at] for at in one] == [shuffled[at] for at in other]
    assert proof == peers_proof


@given(keys.filter(bool), st.data())
def test_one_other_person_changes_the_proof(people, data):
    changed = list(people)
    changed[data.draw(st.integers(0, len(people) - 1))] = "somebody who is not in the list"
    assert ordered(people)[1] != ordered(changed)[1]


def test_the_order_is_another_under_another_key_and_unrelated_to_the_ids():
    people = [f"{number:06d}" for number in range(4000)]
    one, _ = ordered(people)
    other, _ = ordered(people, b"l" * 32)
    for order in (one, other):
        assert sorted(order) == list(range(4000))
        # 5 standard deviations of a rank correlation of 4000 independent pairs
        assert abs(np.corrcoef(order, np.arange(4000))[0, 1]) < 5 / np.sqrt(4000)
    assert abs(np.corrcoef(one, other)[0, 1]) < 5 / np.sqrt(4000)


def test_the_holders_agree_on_a_key_that_a_third_exchange_does_not_give():
    (private_a, public_a), (private_b, public_b), (private_c, public_c) = (new_exchange() for _ in range(3))
    secret = session_key(private_a, public_a, public_b)
    assert secret == session_key(private_b, public_b, public_a)
    assert len(secret) == 32
    assert secret not in (session_key(private_c, public_c, public_a), session_key(private_c, public_c, public_b))


def test_every_run_draws_new_keys():
    assert len({new_exchange()[1] for _ in range(20)}) == 20


def test_a_peers_key_of_small_order_is_refused():
    private, public = new_exchange()
    with pytest.raises(ValueError, match="shared key"):
        session_key(private, public, bytes(32))


@pytest.mark.parametrize("shuffle", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]])
def test_pseudonyms_that_begin_alike_are_ordered_by_all_their_bits(shuffle):
    marks = np.array([[8, 9], [8, 5], [9, 1], [2**63, 0]], np.uint64)
    order, _ = common_order(marks[shuffle], SECRET)
    assert marks[shuffle][order].tolist() == [[8, 5], [8, 9], [9, 1], [2**63, 0]]
