"""Packed numbers that HEU adds while they are encrypted are numpy's integer sum: any width, clients and length."""

from typing import Any

import numpy as np
import pytest
from heu import numpy as hnp
from heu import phe
from hypothesis import given, settings
from hypothesis import strategies as st

from veilflow.components.privacy.packing import Slots, pack, unpack

SPARE = 16
"""Bits of a plaintext that stay free, as in `secagg.packed_he`."""


@pytest.fixture(scope="module")
def kits() -> dict[int, Any]:
    """By key size: small ones, as nothing is to be protected here. Odd sizes of slots do not divide them."""
    return {bits: hnp.setup(phe.SchemaType.ZPaillier, bits) for bits in (256, 512, 1024)}


@st.composite
def rounds(draw: Any) -> tuple[int, Slots, list[np.ndarray]]:
    """A key size, slots that fit, and as many vectors as there are clients, or fewer; values like the extremes."""
    key_bits, bits, clients = draw(st.sampled_from([256, 512, 1024])), draw(st.integers(1, 56)), draw(st.integers(1, 9))
    bound = draw(st.sampled_from([(1 << bits) - 1, max(1, (1 << bits) // 3)]))
    slots, length = Slots(bound, clients, key_bits - SPARE), draw(st.integers(1, 150))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    vectors = rng.integers(-bound, bound, (draw(st.integers(1, clients)), length), endpoint=True)
    edge = draw(st.sampled_from([None, -bound, bound]))
    if edge is not None:
        vectors[:, rng.random(length) < 0.3] = edge  # all clients there at once
    return key_bits, slots, list(vectors)


@settings(max_examples=120)
@given(rounds())
def test_what_is_decrypted_from_added_ciphertexts_is_the_integer_sum(kits: dict[int, Any], case: Any) -> None:
    key_bits, slots, vectors = case
    kit = kits[key_bits]
    encrypted = [kit.encryptor().encrypt(hnp.array(pack(v, slots), kit.bigint_encoder())) for v in vectors]
    total = encrypted[0]
    for each in encrypted[1:]:
        total = kit.evaluator().add(total, each)
    raw = kit.decryptor().decrypt(total).to_bytes(key_bits // 8, "little")
    numbers = [int.from_bytes(raw[i : i + key_bits // 8], "little") for i in range(0, len(raw), key_bits // 8)]
    found = unpack(numbers, slots, vectors[0].size, len(vectors))
    np.testing.assert_array_equal(found, np.sum(vectors, axis=0))
