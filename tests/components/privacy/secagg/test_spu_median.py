"""The median in the SPU is numpy's, whatever the clients are, and one of three cannot move it beyond the others."""

import numpy as np
import pytest
import spu.utils.simulation as simulation
from spu import libspu

from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg.robust import coordinate_median
from veilflow.components.privacy.secagg import secure_sum
from veilflow.components.privacy.secagg.declare import discloses, protections
from veilflow.components.privacy.secagg.settings import SumSettings
from veilflow.components.privacy.secagg.spu_median import LARGEST, _comparisons, as_sum, middle, require_fit

CLIENTS = ("a", "b", "c")
MEDIAN = SumSettings("spu", combine="median")


@pytest.fixture(scope="module")
def spu():
    config = libspu.RuntimeConfig(protocol=libspu.ProtocolKind.ABY3, field=libspu.FieldType.FM64, fxp_fraction_bits=18)
    return simulation.Simulator(3, config)


def vectors(clients: int, size: int, largest: int = LARGEST - 1) -> list[np.ndarray]:
    rng = np.random.default_rng(clients)
    found = [rng.integers(-largest, largest, size, endpoint=True) for _ in range(clients)]
    found[0][:4], found[1][:4], found[2][:4] = (largest, -largest, 0, 7), (-largest, largest, 0, 7), (1, 1, -1, 7)
    return found


@pytest.mark.parametrize("clients", [3, 4, 5])
def test_it_is_the_median_of_numpy_exactly_at_the_largest_values_too(spu, clients: int) -> None:
    found = vectors(clients, 64)
    as_shared = [each.astype(np.int32)[None] for each in found]  # one limb, as the backend shares it
    (twice,) = simulation.sim_jax(spu, middle)(*as_shared)
    wanted = coordinate_median({str(i): each for i, each in enumerate(found)})
    np.testing.assert_array_equal(as_sum(np.asarray(twice), clients), clients * wanted)


@pytest.mark.parametrize("clients", range(3, 10))
def test_the_network_sorts_as_far_as_the_middle(clients: int) -> None:
    # A network that finds the middle of every input of zeros and ones finds it of all (zero-one principle).
    bits = ((np.arange(2**clients)[:, None] >> np.arange(clients)) & 1).astype(np.int32)
    (twice,) = middle(*bits.T)
    np.testing.assert_array_equal(np.asarray(twice), 2 * np.median(bits, axis=1))


def test_three_clients_cost_three_comparisons() -> None:
    assert len(_comparisons(3)) == 3
    assert len(_comparisons(5)) == 9


def test_values_that_would_overflow_a_comparison_are_refused() -> None:
    require_fit(LARGEST - 1)
    with pytest.raises(ComponentError, match="lower guard/bits"):
        require_fit(LARGEST)


@pytest.mark.parametrize(
    "settings, clients, message",
    [
        (SumSettings("masks", combine="median"), CLIENTS, "needs backend: spu"),
        (MEDIAN, CLIENTS[:2], "at least 3 clients"),
        (SumSettings("spu", combine="mode"), CLIENTS, "choose one of mean, median"),
    ],
)
def test_what_has_no_median_is_refused(settings: SumSettings, clients, message: str) -> None:
    with pytest.raises(ComponentError, match=message):
        settings.check(clients, "centre")


def test_weights_that_differ_mean_nothing_to_a_median(monkeypatch) -> None:
    monkeypatch.setattr(secure_sum, "_backend", lambda *given: None)
    median = secure_sum.SecureSum(None, MEDIAN, CLIENTS, "centre", 5)
    with pytest.raises(ComponentError, match="counts heads; weights that differ"):
        median.sum(dict.fromkeys(CLIENTS), weights={"a": 2})


def test_a_round_of_two_has_no_median_worth_the_name() -> None:
    assert MEDIAN.needed(("a", "b"), "centre") == 3


def test_the_claims_tell_a_median_from_a_sum() -> None:
    told = discloses(MEDIAN, CLIENTS, "centre")[-1]
    assert "median" in told.what
    assert "one client's own value" in told.note
    assert protections(MEDIAN, CLIENTS, "centre")[0].parameters["combine"] == "median"
    assert "sum" in discloses(SumSettings("spu"), CLIENTS, "centre")[-1].what
