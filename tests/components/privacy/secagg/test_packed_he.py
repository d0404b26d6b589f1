"""Packed Paillier: the integer sum exactly; the keeper sees uniform numbers; wrong data is refused."""

import numpy as np
import pytest
from scipy import stats

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.packing import Slots, pack, unpack
from veilflow.components.privacy.secagg import packed_he as he

BITS = 3072
SLOTS = Slots(2**15, 3, he.capacity(BITS))


@pytest.fixture(scope="module")
def key():
    return he.new_key(BITS)


def summed(key, vectors, slots=SLOTS):
    """The whole way; also what the keeper sees."""
    kit, public = key
    sent = [he.encrypt(public, pack(vector, slots)) for vector in vectors]
    blinded, blind = he.add_blinded(public, sent, BITS)
    opened = he.decrypt(kit, blinded, BITS)
    return unpack(he.unblind(opened, blind, BITS), slots, vectors[0].size, len(vectors)), opened


@pytest.mark.parametrize("length", [1, 162, 163, 700])
def test_the_sum_is_the_integer_sum(key, length: int) -> None:
    rng = np.random.default_rng(length)
    vectors = [rng.integers(-SLOTS.bound, SLOTS.bound, length, endpoint=True) for _ in range(3)]
    vectors[0][0] = vectors[1][0] = vectors[2][0] = -SLOTS.bound
    vectors[0][-1] = vectors[1][-1] = vectors[2][-1] = SLOTS.bound
    found, _ = summed(key, vectors)
    assert (found == np.sum(vectors, axis=0)).all()


def test_what_the_keeper_opens_does_not_depend_on_the_sum(key) -> None:
    for value in (0, SLOTS.bound):
        vectors = [np.full(SLOTS.per_plaintext * 8, value)] * 3
        _, opened = summed(key, vectors)
        seen = np.frombuffer(opened, np.uint8).reshape(-1, BITS // 8)[:, :-2].ravel()  # the top 16 bits are always 0
        assert stats.chisquare(np.bincount(seen, minlength=256)).pvalue > 1e-9


def test_ciphertexts_of_equal_vectors_differ(key) -> None:
    vector = pack(np.arange(5), SLOTS)
    assert he.encrypt(key[1], vector) != he.encrypt(key[1], vector)


def test_the_blind_hides_far_more_than_the_sum_holds() -> None:
    assert BITS - 16 - he.capacity(BITS) == he.BLIND_BITS == 128
    assert SLOTS.per_plaintext * SLOTS.width <= he.capacity(BITS)


def test_a_keeper_that_returns_something_else_is_noticed(key) -> None:
    kit, public = key
    blinded, blind = he.add_blinded(public, [he.encrypt(public, pack(np.arange(5), SLOTS))], BITS)
    opened = he.decrypt(kit, blinded, BITS)
    with pytest.raises(ComponentError, match="out of range"):
        he.unblind(bytes(len(opened)), blind, BITS)
    with pytest.raises(ComponentError, match="another number of plaintexts"):
        he.unblind(opened + bytes(384), blind, BITS)


def test_what_is_no_ciphertext_is_refused_in_our_words(key) -> None:
    with pytest.raises(ComponentError, match="something else than ciphertexts"):
        he.add_blinded(key[1], [b"abc"], BITS)
    one = he.encrypt(key[1], pack(np.zeros(5, np.int64), SLOTS))
    two = he.encrypt(key[1], pack(np.zeros(500, np.int64), SLOTS))
    with pytest.raises(ComponentError, match="different numbers of ciphertexts"):
        he.add_blinded(key[1], [one, two], BITS)
