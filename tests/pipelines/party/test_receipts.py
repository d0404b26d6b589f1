"""A protection that is configured and has no fitting receipt is found, at each of its parties."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.components.claims import Protection
from veilflow.pipelines.party.receipts import lacking, same

NOISE = Protection("noise", ("hospital", "insurer"), {"deviation": 0.3, "added_by": ("a", "b")})


def receipt(name: str = "noise", party: str = "insurer", **parameters: Any) -> dict[str, Any]:
    usual = {"deviation": float(np.float32(0.3)), "added_by": ["a", "b"], "drawn_here": 7}
    return {"protection": name, "party": party, "parameters": usual | parameters}


def test_a_fitting_receipt_is_enough_and_may_say_more():
    assert lacking([NOISE], [receipt()], "insurer") == []


def test_a_party_that_is_not_asked_needs_none():
    assert lacking([NOISE], [], "coordinator") == []


@pytest.mark.parametrize(
    ("receipts", "said"),
    [
        ([], "protection 'noise' is configured but insurer wrote no receipt for it"),
        ([receipt("clip")], "protection 'noise' is configured but insurer wrote no receipt for it"),
        ([receipt(party="hospital")], "protection 'noise' is configured but insurer wrote no receipt for it"),
        ([receipt(deviation=0.03)], "insurer's receipt says deviation 0.03 instead of 0.3"),
        ([receipt(), receipt(deviation=0.0)], "insurer's receipt says deviation 0.0 instead of 0.3"),
        ([receipt(deviation=None)], "insurer's receipt says deviation None instead of 0.3"),
        ([receipt(deviation=True)], "insurer's receipt says deviation True instead of 0.3"),
        ([receipt(added_by=["a"])], "insurer's receipt says added_by ['a'] instead of ('a', 'b')"),
    ],
)
def test_a_missing_or_differing_receipt_is_named(receipts: list[dict[str, Any]], said: str):
    (problem,) = lacking([NOISE], receipts, "insurer")
    assert said in problem


def test_every_protection_is_asked_for():
    wanted = [NOISE, Protection("clip", ("insurer",))]
    assert len(lacking(wanted, [], "insurer")) == 2


@given(st.floats(min_value=1e-6, max_value=1e6))
def test_a_number_carried_in_32_bits_is_the_same_number(value: float):
    assert same(float(np.float32(value)), value)


@given(st.floats(min_value=1e-6, max_value=1e6), st.floats(min_value=1e-4, max_value=1.0))
def test_a_number_that_is_off_by_a_tenth_of_a_thousandth_is_another(value: float, off: float):
    assert not same(value * (1 + off), value)


@pytest.mark.parametrize(("said", "wanted"), [(True, 1), (0, False), ("1", 1), (None, 0), (["a"], "a"), (1.0, None)])
def test_values_of_different_kinds_differ(said: Any, wanted: Any):
    assert not same(said, wanted)
