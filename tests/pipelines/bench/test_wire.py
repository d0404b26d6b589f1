"""`bench wire` compares what it says: one side stripped of every protection, the other with all of them."""

import json
import ssl

import pytest

from veilflow.pipelines.bench import wire
from veilflow.pipelines.cluster.addresses import on_loopback
from veilflow.pipelines.launch.simulation import Simulation

pytestmark = pytest.mark.cluster
PARTIES = ["hospital", "insurer", "coordinator"]


def link(ctx):
    from secretflow.distributed.fed.global_context import get_global_context

    proxy = get_global_context()._proxy
    return isinstance(proxy._links._out["insurer" if ctx.setup.party != "insurer" else "hospital"]._link, ssl.SSLSocket)


def _crossed(folder, party, what):
    lines = [json.loads(line) for line in (folder / party / "transcript.jsonl").read_text().splitlines()]
    return [line for line in lines if line["what"] == what]


def test_the_bare_side_is_bare_and_the_other_is_not(tmp_path):
    with Simulation(tmp_path / "bare", PARTIES) as bare, Simulation(tmp_path / "own", PARTIES, tls=True) as own:
        assert set(own.call(f"{__file__}:link").values()) == {True}
        assert set(bare.call(f"{__file__}:link").values()) == {False}
        bare.call(wire._STRIP, on_loopback(PARTIES, {}).base)
        results = [
            *wire._transfer(bare, own, 1, 2),
            *wire._steps(bare, own, "per_example", 1024, 1),
        ]
    assert not _crossed(tmp_path / "bare", "hospital", "sent")
    (first, *_) = _crossed(tmp_path / "own", "hospital", "sent")
    assert (first["dtype"], first["shape"], len(first["sha256"])) == ("float32", [1 << 18], 64)
    assert [each.ratio is not None for each in results] == [True, False] * 2
    assert all(each.value > 0 for each in results)
