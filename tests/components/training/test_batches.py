"""Batches are never smaller than promised, and nobody chooses the order alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.components.errors import ComponentError
from veilflow.components.training.batches import batch_size, batches, epoch_order, order_token


@given(rows=st.integers(8, 5000), wanted=st.integers(8, 1000), minimum=st.integers(8, 64))
def test_no_batch_is_smaller_than_the_minimum_and_few_rows_are_left_out(rows: int, wanted: int, minimum: int) -> None:
    if rows < minimum or wanted < minimum:
        return
    size = batch_size(rows, wanted, minimum)
    found = list(batches(epoch_order([b"x"], rows), size))
    assert found
    assert all(len(each) == size >= minimum for each in found)
    used = np.concatenate(found)
    assert len(set(used.tolist())) == len(used)
    assert rows - len(used) < max(len(found), minimum)


def test_too_few_rows_are_refused_with_the_counts() -> None:
    with pytest.raises(ComponentError, match=r"3 row\(s\) cannot fill a batch of at least 32"):
        batch_size(3, 512, 32)


def test_an_order_is_a_permutation_that_every_token_changes() -> None:
    tokens = [order_token(), order_token()]
    order = epoch_order(tokens, 200)
    np.testing.assert_array_equal(np.sort(order), np.arange(200))
    np.testing.assert_array_equal(order, epoch_order(tokens, 200))
    for position in range(2):
        other = list(tokens)
        other[position] = order_token()
        assert (epoch_order(other, 200) != order).any()


def test_tokens_come_from_the_operating_system() -> None:
    assert len({order_token() for _ in range(100)}) == 100
