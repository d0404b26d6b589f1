"""Numbers of any width come back from their bytes; nothing else does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.bits import pack_bits, packed_size, signed, unpack_bits, unsigned, width_of


@given(st.integers(1, 64), st.integers(1, 90), st.integers(0, 99))
def test_numbers_come_back_in_as_many_bytes_as_announced(width, count, seed) -> None:
    values = np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)
    raw = pack_bits(values, width)
    assert len(raw) == packed_size(count, width) == -(-count * width // 8)
    assert unpack_bits(raw, width, count).tolist() == [int(v) % 2**width for v in values]


@given(st.integers(1, 2**61), st.integers(1, 3), st.lists(st.integers(-(2**61), 2**61), min_size=1, max_size=20))
def test_the_width_of_a_bound_tells_all_signed_values_apart(bound, clients, values) -> None:
    limit = min(bound * clients, 2**62)
    held = np.array([max(-limit, min(limit, value)) for value in [*values, limit, -limit]], np.int64)
    width = width_of(limit)
    assert signed(unsigned(held, width), width).tolist() == held.tolist()
    assert signed(unsigned(np.array([limit]), width - 1), width - 1)[0] != limit, "a bit less is too few"


@pytest.mark.parametrize("raw", [b"", b"12", b"1234"])
def test_another_number_of_bytes_is_refused(raw: bytes) -> None:
    with pytest.raises(ComponentError, match=r"bytes were received for 5 numbers of 4 bits, which take 3"):
        unpack_bits(raw, 4, 5)


def test_bits_behind_the_end_are_refused() -> None:
    with pytest.raises(ComponentError, match="bits behind their end"):
        unpack_bits(b"\x00\x00\x01", 4, 5)
