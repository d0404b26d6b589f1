"""Every backend at real parties behind the egress check: the exact sum at the coordinator, and nothing else sent."""

from typing import Any

import pytest

pytestmark = pytest.mark.cluster

PARTIES = ["hospital", "insurer", "coordinator"]
BOUND = 1 << 20


def secure(ctx: Any, backend: str, coordinator: str, rounds: int, length: int, **settings: Any) -> Any:
    """A secure sum whose step may send what `declare.sends` says, and nothing else."""
    from veilflow.components.devices.events import sizes
    from veilflow.components.privacy.secagg.declare import sends
    from veilflow.components.privacy.secagg.secure_sum import SecureSum
    from veilflow.components.privacy.secagg.settings import SumSettings

    chosen = SumSettings(backend, **settings)
    ctx._wire.gate.open({ctx.node: sends(chosen, PARTIES, coordinator)})
    sizes(ctx, coordinates=length, rounds=rounds)
    return SecureSum(ctx, chosen, PARTIES, coordinator, BOUND)


def vector_of(party: str, round: int, length: int) -> Any:
    """Extremes, zeros and values in between; the same wherever it is called."""
    import numpy as np

    rng = np.random.default_rng(100 * PARTIES.index(party) + round)
    vector = rng.integers(-BOUND // 4, BOUND // 4, length, endpoint=True)
    vector[:3] = (BOUND // 4, -BOUND // 4, 0)
    return vector


def same(got: Any, wanted: Any) -> bool:
    return got.dtype == wanted.dtype and bool((got == wanted).all())


def three_rounds(ctx: Any, backend: str, coordinator: str) -> dict[str, Any]:
    """All clients; weights; then one client less."""
    from veilflow.components.devices.pyu import publish, run_on

    length = 500
    summer = secure(ctx, backend, coordinator, 3, length)

    def brought(party: str, round: int) -> Any:
        absent = round == 2 and party == "insurer"
        return run_on(party, lambda: None if absent else vector_of(party, round, length))

    found: dict[str, Any] = {"equal": [], "present": []}
    for number, weights in enumerate([None, {"hospital": 3, "insurer": 1, "coordinator": 4}, None]):
        total = summer.sum({party: brought(party, number) for party in PARTIES}, weights)
        there = summer.present
        expected = sum((weights or {}).get(party, 1) * vector_of(party, number, length) for party in there)
        found["equal"].append(publish(run_on(coordinator, same, total, expected)))
        found["present"].append(list(there))
    summer.receipts()
    found["receipts"] = ctx.receipts
    return found


@pytest.mark.parametrize("coordinator", ["coordinator", "insurer"])
@pytest.mark.parametrize("backend", ["masks", "plain", "spu", "packed_he"])
def test_the_sum_is_exact_with_weights_and_without_a_client(
    veilflow_cluster: Any, backend: str, coordinator: str
) -> None:
    results = veilflow_cluster.call(three_rounds, backend, coordinator)
    for party, found in results.items():
        assert found["equal"] == [True, True, True]
        assert found["present"] == [PARTIES, PARTIES, ["hospital", "coordinator"]]
        if backend == "plain":
            assert found["receipts"] == []
            continue
        (written,) = found["receipts"]
        assert (written["protection"], written["party"]) == ("secure_sum", party)
        assert written["parameters"]["backend"] == backend
        assert written["parameters"]["rounds"] == 3
