"""Additive shares become replicated ones with the same sum, and what is sent is masked."""

from typing import Any

import numpy as np
import pytest

from veilflow.components.devices.replicate import _masked, keystream

PARTIES = ["coordinator", "hospital", "insurer"]


def test_masks_cancel_and_cover_a_zero_share() -> None:
    seeds = [bytes([i]) * 16 for i in range(3)]
    shape = (4000, 2)
    masks = [_masked(None, seeds[i], seeds[i - 1], shape) for i in range(3)]
    assert masks[0].sum() != 0
    np.testing.assert_array_equal(sum(masks), np.zeros(shape, np.uint64))
    for mask in masks:
        assert abs(np.unpackbits(mask.view(np.uint8)).mean() - 0.5) < 0.01
    assert keystream(seeds[0], (3,)).tolist() != keystream(seeds[1], (3,)).tolist()


def replicated(ctx: Any) -> dict[str, Any]:
    from veilflow.components.devices.pyu import publish, run_on, send_to
    from veilflow.components.devices.replicate import replicate
    from veilflow.components.devices.secret_table import SpuFacts

    spu = SpuFacts.of(ctx.make_spu())
    rng = np.random.default_rng(1)
    values = rng.integers(0, 2**64, (2, 5, 3), dtype=np.uint64)
    parts = {"hospital": run_on("hospital", lambda: values[0]), "coordinator": run_on("coordinator", lambda: values[1])}
    found = replicate(parts, (5, 3), spu)
    sent = [send_to("hospital", run_on(party, np.ndarray.tobytes, found[party])) for party in spu.parties]

    def check(*raw: bytes) -> list[bool]:
        got = [np.frombuffer(each, np.uint64).reshape(5, 3, 2) for each in raw]
        pairs = [bool((got[i][..., 1] == got[(i + 1) % 3][..., 0]).all()) for i in range(3)]
        fresh = not any((each[..., 0] == value).any() for each in got for value in (*values, 0 * values[0]))
        return [*pairs, bool((sum(each[..., 0] for each in got) == values.sum(axis=0)).all()), fresh]

    return {"checks": publish(run_on("hospital", check, *sent)), "parties": list(spu.parties)}


@pytest.mark.cluster
def test_two_additive_shares_become_replicated_ones(veilflow_cluster: Any) -> None:
    found = veilflow_cluster.call(replicated)["insurer"]
    assert found == {"checks": [True] * 5, "parties": PARTIES}
