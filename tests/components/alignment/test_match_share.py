"""A word where few people are common, made of public counts alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.components.alignment.match_share import LOW, hint


@pytest.mark.parametrize(
    ("common", "people", "told"), [(0, [200, 300], True), (9, [200, 900], True), (10, [200, 900], False)]
)
def test_a_low_share_of_the_smallest_table_is_told(common, people, told):
    text = hint(common, people)
    assert bool(text) == told
    assert not told or (f"only {common} of the {min(people)} people" in text and "normalise" in text)


@given(st.lists(st.integers(0, 10**6), max_size=4), st.integers(0, 10**6))
def test_it_speaks_below_the_threshold_only(people, common):
    smallest = min(people, default=0)
    assert bool(hint(common, people)) == (smallest > 0 and common < LOW * smallest)
