"""A split is the same for all who hold the seed, and every row is on exactly one side."""

import hashlib
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.components.data.train_test_split.split import count_test_rows, public_split, stratified_split
from veilflow.components.errors import ComponentError

SEED = b"sixteen bytes..."


@given(st.binary(min_size=16, max_size=16), st.integers(10, 500), st.floats(0.05, 0.85))
def test_the_split_depends_on_seed_and_rows_alone(seed: bytes, rows: int, test_size: float):
    mask = public_split(seed, rows, test_size)
    assert mask.shape == (rows,)
    assert mask.sum() == math.ceil(rows * Fraction(str(test_size)))
    assert (public_split(bytes(seed), rows, test_size) == mask).all()


def test_the_split_of_a_known_seed_never_changes():
    """Two releases that split differently would pair one party's train rows with the other's test rows."""
    digest = hashlib.sha256(np.packbits(public_split(SEED, 1000, 0.2)).tobytes()).hexdigest()
    assert digest == "2027f3bb1ad27c79fcc4237b193db440ad9efaf719d49b2bedbad36bafe38e52"


@pytest.mark.parametrize(("rows", "test_size", "wanted"), [(100, 0.2, 20), (100, 0.07, 7), (50, 0.14, 7), (3, 0.5, 2)])
def test_a_share_is_the_decimal_that_was_written(rows: int, test_size: float, wanted: int):
    assert count_test_rows(rows, test_size) == wanted


def test_another_seed_gives_another_split():
    assert (public_split(SEED, 1000, 0.5) != public_split(SEED + b"x", 1000, 0.5)).mean() > 0.3


def test_every_row_is_as_likely_a_test_row():
    hits = sum(public_split(i.to_bytes(16, "big"), 40, 0.25).astype(int) for i in range(2000))
    # 2000 draws at 1/4: standard deviation 19.4; five of them over 40 rows
    assert np.abs(np.asarray(hits) - 500).max() < 5 * 19.4


@given(st.integers(0, 2**32), st.lists(st.sampled_from("abc"), min_size=4, max_size=80), st.floats(0.1, 0.8))
def test_each_class_has_its_share_of_test_rows(seed: int, letters: list[str], test_size: float):
    labels = np.array(letters)
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2 or counts.min() < 2 or np.ceil(len(labels) * test_size) >= len(labels):
        return  # each refused with a message of its own, tested below
    mask = stratified_split(labels, test_size, np.random.default_rng(seed))
    for value, count in zip(classes, counts, strict=True):
        chosen = mask[labels == value].sum()
        assert 1 <= chosen < count
        assert abs(chosen - count * test_size) <= 1


def test_one_class_cannot_be_stratified():
    with pytest.raises(ComponentError, match="at least two classes in the label; all 9 rows are of one"):
        stratified_split(np.ones(9), 0.3, np.random.default_rng(0))


def test_a_class_of_one_row_cannot_be_stratified():
    with pytest.raises(ComponentError, match="1 of 2 classes have one"):
        stratified_split(np.array([0, 0, 0, 1]), 0.3, np.random.default_rng(0))


def test_three_rows_can_be_split_and_one_cannot():
    assert count_test_rows(3, 0.2) == 1
    with pytest.raises(ComponentError, match=r"3 row\(s\) cannot be split with test_size 0.9: .* 0 train and 3 test"):
        count_test_rows(3, 0.9)
    with pytest.raises(ComponentError, match=r"1 row\(s\) cannot be split"):
        count_test_rows(1, 0.5)
