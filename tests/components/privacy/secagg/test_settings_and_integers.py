"""What cannot work or would not protect is refused before anything is sent."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.secagg import declare, spu_sum
from veilflow.components.privacy.secagg.integers import ABSENT, present, require_room, weighted
from veilflow.components.privacy.secagg.plain import add
from veilflow.components.privacy.secagg.settings import BACKENDS, SumSettings

BANKS = ("bank_a", "bank_b", "bank_c")


@pytest.mark.parametrize(
    "settings, words",
    [
        (SumSettings("rot13"), "no backend 'rot13'"),
        (SumSettings(minimum_clients=1), "must be 2 to 3"),
        (SumSettings(minimum_clients=4), "must be 2 to 3"),
        (SumSettings("packed_he", key_bits=2048), "at least 3072"),
        (SumSettings("packed_he", keeper="centre"), "could open each client's"),
    ],
)
def test_settings_that_do_not_protect_are_refused(settings: SumSettings, words: str) -> None:
    with pytest.raises(ComponentError, match=words):
        settings.check(BANKS, "centre")


def test_a_coordinator_that_brings_a_vector_needs_two_others() -> None:
    with pytest.raises(ComponentError, match="one of two clients and would subtract its own vector"):
        SumSettings().check(BANKS[:2], "bank_a")
    assert SumSettings().needed(BANKS[:2], "bank_a") == 3
    assert SumSettings().needed(BANKS[:2], "centre") == 2
    assert SumSettings(minimum_clients=4).needed(BANKS, "bank_a") == 4


def test_the_keeper_is_never_the_one_who_adds() -> None:
    assert SumSettings("packed_he").key_keeper(BANKS, "centre") == "bank_a"
    assert SumSettings("packed_he").key_keeper(BANKS, "bank_a") == "bank_b"


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_backend_but_plain_lets_a_clients_vector_reach_anybody(backend: str) -> None:
    settings = SumSettings(backend)
    lines = declare.sends(settings, BANKS, "centre")
    bare = [line for line in lines if line.what == declare.BARE or line.dtype == "int64"]
    assert bool(bare) == (backend == "plain")
    keepers = [line.to for line in lines if line.what == declare.CIPHERTEXTS]
    assert keepers in ([], [("centre",)]), "ciphertexts go to the one without the key"
    told = " ".join(line.what for line in declare.discloses(settings, BANKS, "centre"))
    assert ("EACH CLIENT'S vector" in told) == (backend == "plain")
    wanted = declare.protections(settings, BANKS, "centre")
    assert [line.at for line in wanted] == ([] if backend == "plain" else [(*BANKS, "centre")])


def test_two_clients_are_told_that_a_sum_of_two_hides_little() -> None:
    (_, line) = declare.discloses(SumSettings(), BANKS, "centre")
    assert "subtract its own vector" in line.note
    (_, line) = declare.discloses(SumSettings(minimum_clients=3), BANKS, "centre")
    assert "subtract" not in line.note


@given(st.integers(1, 2**40), st.integers(1, 1000), st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=9))
def test_a_weighted_value_beyond_the_bound_is_refused_and_all_others_are_exact(bound, weight, values) -> None:
    vector = np.array(values, np.int64)
    if max(abs(weight * value) for value in values) > bound:
        with pytest.raises(ComponentError, match="exceeds the agreed bound") as caught:
            weighted(vector, weight, bound)
        with pytest.raises(ComponentError, match="exceeds") as other:
            weighted(np.array([2**62], np.int64), weight, bound)
        assert str(caught.value) == str(other.value), "the message tells no value"
    else:
        found, length = weighted(vector, weight, bound)
        assert found is not None
        assert found.tolist() == [weight * value for value in values]
        assert length == len(values)


@pytest.mark.parametrize(
    "vector", [np.zeros(3), np.zeros((2, 2), np.int64), np.zeros(0, np.int64), np.zeros(3, np.int32)]
)
def test_only_flat_int64_vectors_are_added(vector: np.ndarray) -> None:
    with pytest.raises(ComponentError, match="must be int64 of shape"):
        weighted(vector, 1, 10)


def test_a_client_may_stay_out_and_lengths_must_agree() -> None:
    assert weighted(None, 1, 10) == (None, ABSENT)
    assert present({"a": 5, "b": ABSENT, "c": 5}) == (("a", "c"), 5)
    assert present({"a": ABSENT}) == ((), 0)
    with pytest.raises(ComponentError, match="a 5, c 6"):
        present({"a": 5, "b": ABSENT, "c": 6})


def test_a_bound_whose_sum_could_overflow_is_refused() -> None:
    require_room(2**60, 3)
    with pytest.raises(ComponentError, match="do not fit into 64 bits"):
        require_room(2**61, 3)


def test_the_baseline_adds() -> None:
    assert add({"a": np.array([1, -2]), "b": np.array([2**40, 0])}).tolist() == [2**40 + 1, -2]


@given(st.sampled_from([1, 2**20, 2**29, 2**31, 2**45, 2**59]), st.integers(1, 7), st.data())
def test_limbs_of_the_spu_sum_join_to_the_exact_sum_in_32_bits(bound, clients, data) -> None:
    count = spu_sum.limbs(bound, clients)
    values = st.lists(
        st.one_of(st.sampled_from([-bound, bound, -1]), st.integers(-bound, bound)), min_size=4, max_size=4
    )
    vectors = [np.array(data.draw(values), np.int64) for _ in range(clients)]
    parts = [spu_sum.split(vector, count) for vector in vectors]
    wide = np.sum([part.astype(object) for part in parts], axis=0)
    assert abs(wide).max() < 2**31, "no limb's sum leaves an int32"
    summed = np.sum(parts, axis=0, dtype=np.int32)
    assert spu_sum.join(summed).tolist() == [sum(int(v[i]) for v in vectors) for i in range(4)]


def test_too_many_clients_for_the_limbs_are_refused() -> None:
    with pytest.raises(ComponentError, match="up to 64 clients, not 65"):
        spu_sum.limbs(10, 65)
