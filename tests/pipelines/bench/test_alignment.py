"""The bench measures what it says; no test asks how fast."""

from typing import Any

import pytest

from veilflow.pipelines.bench import alignment


@pytest.mark.cluster
def test_all_methods_find_the_same_people_and_are_compared_with_rr22(veilflow_cluster: Any) -> None:
    results = alignment.measure(veilflow_cluster._simulation.call, 3000, 3)
    methods = {each.case.split(", 3000")[0] for each in results}
    ours = {"coordinator", "spu_compare", "spu_compare, IDs only", "two_party"}
    assert methods == {f"anonymous, {name}" for name in ours} | {
        "alignment/psi, whole component",
        "RR22",
        "KKRT",
        "ECDH",
    }
    times = {each.case.split(", 3000")[0]: each.value for each in results if each.metric == "wall time"}
    for each in results:
        assert each.value > 0
        if each.metric == "wall time":
            assert each.baseline is not None
            assert each.ratio == pytest.approx(each.value / times[each.baseline])
    sent = {each.case.split(", 3000")[0]: each.value for each in results if each.metric == "sent, all parties"}
    masked, halves, pseudonyms = 2 * 3000 * 3 * 8, 4 * 1500 * 3 * 8, 2 * 3000 * 16
    assert sent["anonymous, coordinator"] * 1e6 > masked + halves + pseudonyms
    assert sent["anonymous, coordinator"] * 1e6 < 1.5 * (masked + halves + pseudonyms) + 100_000
