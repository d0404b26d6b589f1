"""Messages of shares: plain bytes, one per rank, that say nothing by themselves."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.components.devices.secret_shares import frame, join, share, unframe

RUNTIME = json.dumps({"protocol": "ABY3", "field": "FM64", "fxp_fraction_bits": 18})


@given(shape=st.lists(st.integers(1, 5), max_size=3), seed=st.integers(0, 1000))
def test_shares_of_all_ranks_give_the_value_back(shape: list[int], seed: int) -> None:
    value = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    messages = share(RUNTIME, 3, {"x": value, "n": np.arange(4, dtype=np.int8)})
    assert [type(message) for message in messages] == [bytes] * 3
    found = join(RUNTIME, messages)
    np.testing.assert_allclose(found["x"], value, atol=1e-5)
    np.testing.assert_array_equal(found["n"], np.arange(4))


def test_double_precision_is_shared_as_single() -> None:
    assert join(RUNTIME, share(RUNTIME, 3, {"x": np.array([0.5])}))["x"].dtype == np.float32


def test_one_message_is_random_whatever_the_value() -> None:
    def one_bits(value: float) -> float:
        message = share(RUNTIME, 3, {"x": np.full(4096, value, np.float32)})[0]
        (found,) = unframe(message).values()
        return float(np.unpackbits(np.frombuffer(b"".join(found.share_chunks), np.uint8)).mean())

    assert abs(one_bits(0.0) - 0.5) < 0.01
    assert abs(one_bits(1.0) - 0.5) < 0.01
    again = [share(RUNTIME, 3, {"x": np.zeros(8, np.float32)})[0] for _ in range(2)]
    assert again[0] != again[1]


def test_framing_is_undone_exactly() -> None:
    (message, *_) = share(RUNTIME, 3, {"a/b": np.zeros((2, 3), np.float32), "c": np.ones(1, np.float32)})
    assert list(unframe(message)) == ["a/b", "c"]
    assert frame(unframe(message)) == message


@pytest.mark.parametrize("change", [lambda m: m[:-1], lambda m: m + b"\0"])
def test_a_damaged_message_is_noticed(change) -> None:
    (message, *_) = share(RUNTIME, 3, {"x": np.zeros(8, np.float32)})
    with pytest.raises(ValueError, match=r"has \d+ bytes, its head says \d+"):
        unframe(change(message))
