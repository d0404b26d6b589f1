"""`bench secagg` measures what it says; no test asks how fast, but that packing beats one value per ciphertext."""

from typing import Any

import pytest

from veilflow.pipelines.bench import secagg


def test_packed_encryption_beats_one_value_per_ciphertext() -> None:
    results = secagg.kernels(160, unpacked_values=3)
    packed, size, unpacked, unpacked_size = results
    assert packed.ratio == pytest.approx(packed.value / unpacked.value)
    assert packed.ratio > 5, "with one plaintext full"
    assert size.value < unpacked_size.value / 50


@pytest.mark.cluster
def test_every_backend_is_measured_against_the_sum_in_the_clear(veilflow_cluster: Any) -> None:
    clients = ["hospital", "insurer"]
    results = secagg.at_parties(veilflow_cluster._simulation.call, clients, "coordinator", 3000, 2)
    named = {(each.case.split(",")[0], each.metric): each for each in results}
    assert {backend for backend, _ in named} == {"dense float32", "plain", "masks", "packed_he", "spu"}
    for (backend, metric), each in named.items():
        assert each.value > 0
        assert (each.ratio is None) == (metric == "set-up, once per step" or backend == "dense float32")
    assert named["plain", "throughput"].ratio == 1
    traffic = {backend: each.value for (backend, metric), each in named.items() if metric == "traffic, all parties"}
    assert 4 < traffic["dense float32"] < 5
    assert traffic["plain"] > 8, "int64"
    assert 9 / 8 < traffic["masks"] < 2, "9 bits of 8-bit values of two clients"
    assert traffic["packed_he"] < 4, "one of the two clients keeps the key and sends no ciphertext"
