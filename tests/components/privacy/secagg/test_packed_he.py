"""Packed Paillier: the integer sum exactly; the keeper sees uniform numbers; wrong data is refused."""

import numpy as np
import pytest
from scipy import stats

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.packing import Slots, pack, unpack
from veilflow.components.privacy.secagg import packed_he as he
from veilflow.components.privacy.secagg.declare import sends
from veilflow.components.privacy.secagg.settings import SumSettings

BITS = 3072
SLOTS = Slots(2**15, 3, he.capacity(BITS))


@pytest.fixture(scope="module")
def key():
    return he.new_key(BITS)


def summed(key, vectors, keeper=None, centre=None, slots=SLOTS):
    """The whole way; also what the keeper decrypts. ``keeper`` and ``centre``: vectors that these bring themselves."""
    kit, public = key
    sent = [he.encrypt(public, pack(vector, slots)) for vector in vectors]
    blinded, blind = he.add_blinded(public, sent, None if centre is None else pack(centre, slots))
    opened = he.open_blinded(kit, blinded, None if keeper is None else pack(keeper, slots), BITS)
    added = len(vectors) + (keeper is not None) + (centre is not None)
    found = unpack(he.unblind(public, opened, blind, BITS), slots, vectors[0].size, added)
    return found, he.open_blinded(kit, blinded, None, BITS)


def drawn(length: int) -> list[np.ndarray]:
    """Three vectors, with their extremes at the same places."""
    rng = np.random.default_rng(length)
    vectors = [rng.integers(-SLOTS.bound, SLOTS.bound, length, endpoint=True) for _ in range(3)]
    for vector in vectors:
        vector[0], vector[-1] = -SLOTS.bound, SLOTS.bound
    return vectors


@pytest.mark.parametrize("length", [1, 167, 168, 700])
def test_the_sum_is_the_integer_sum_whoever_brings_the_vectors(key, length: int) -> None:
    one, two, three = drawn(length)
    for found, _ in (
        summed(key, [one, two, three]),
        summed(key, [one, two], keeper=three),
        summed(key, [one], keeper=two, centre=three),
    ):
        assert (found == one + two + three).all()


def test_what_the_keeper_decrypts_does_not_depend_on_the_sum(key) -> None:
    _, public = key
    n = he.modulus(public)
    for value in (0, SLOTS.bound):
        vector = np.full(SLOTS.per_plaintext * 8, value)
        _, seen = summed(key, [vector], keeper=vector, centre=vector)
        numbers = [int.from_bytes(seen[i : i + BITS // 8], "little") for i in range(0, len(seen), BITS // 8)]
        assert stats.kstest([number / n for number in numbers], "uniform").pvalue > 1e-9
        low = np.frombuffer(seen, np.uint8).reshape(-1, BITS // 8)[:, :-2].ravel()  # the top bytes end with n's
        assert stats.chisquare(np.bincount(low, minlength=256)).pvalue > 1e-9


def test_the_keeper_gets_no_clients_ciphertext_and_never_the_same_blind(key) -> None:
    _, public = key
    sent = he.encrypt(public, pack(np.arange(5), SLOTS))
    (first, one), (second, two) = he.add_blinded(public, [sent]), he.add_blinded(public, [sent])
    assert len({sent, first, second}) == 3
    assert one != two
    long = he.encrypt(public, pack(np.zeros(SLOTS.per_plaintext * 5, np.int64), SLOTS))
    assert len(set(he.add_blinded(public, [long])[1])) == 5


def test_blinds_fill_all_numbers_that_a_plaintext_can_be(key, monkeypatch) -> None:
    _, public = key
    n = he.modulus(public)
    assert n % 2 == 1
    assert n.bit_length() == BITS
    asked: list[int] = []
    monkeypatch.setattr(he.secrets, "randbelow", lambda below: asked.append(below) or below - 1)
    found, _ = summed(key, drawn(200))  # at the largest R the sum wraps around n
    assert set(asked) == {n}
    assert (found == np.sum(drawn(200), axis=0)).all()


def test_ciphertexts_of_equal_vectors_differ(key) -> None:
    vector = pack(np.arange(5), SLOTS)
    assert he.encrypt(key[1], vector) != he.encrypt(key[1], vector)


def test_only_who_must_hide_a_vector_may_send_ciphertexts() -> None:
    banks = ["bank_a", "bank_b", "bank_c", "bank_d"]
    for coordinator, keeper, senders in (
        ("centre", "", ("bank_b", "bank_c", "bank_d")),
        ("bank_b", "bank_c", ("bank_a", "bank_d")),
        ("centre", "elsewhere", tuple(banks)),
    ):
        (line,) = [
            each for each in sends(SumSettings("packed_he", keeper), banks, coordinator) if each.what == "ciphertexts"
        ]
        assert line.sender == senders


def test_slots_stay_below_the_margin() -> None:
    assert BITS - he.capacity(BITS) == he.MARGIN_BITS == 64
    assert SLOTS.per_plaintext * SLOTS.width <= he.capacity(BITS)


def test_a_keeper_that_returns_something_else_is_noticed(key) -> None:
    kit, public = key
    blinded, blind = he.add_blinded(public, [he.encrypt(public, pack(np.arange(5), SLOTS))])
    opened = he.open_blinded(kit, blinded, None, BITS)
    with pytest.raises(ComponentError, match="out of range"):
        he.unblind(public, bytes(len(opened)), blind, BITS)
    with pytest.raises(ComponentError, match="another number of plaintexts"):
        he.unblind(public, opened + bytes(384), blind, BITS)


def test_what_is_no_ciphertext_or_of_another_length_is_refused_in_our_words(key) -> None:
    with pytest.raises(ComponentError, match="something else than ciphertexts"):
        he.add_blinded(key[1], [b"abc"])
    one = he.encrypt(key[1], pack(np.zeros(5, np.int64), SLOTS))
    two = he.encrypt(key[1], pack(np.zeros(500, np.int64), SLOTS))
    with pytest.raises(ComponentError, match="different numbers of ciphertexts"):
        he.add_blinded(key[1], [one, two])
    with pytest.raises(ComponentError, match="different numbers of ciphertexts"):
        he.add_blinded(key[1], [one], pack(np.zeros(500, np.int64), SLOTS))
    with pytest.raises(ComponentError, match="another number of ciphertexts"):
        he.open_blinded(key[0], one, pack(np.zeros(500, np.int64), SLOTS), BITS)
