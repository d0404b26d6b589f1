"""The party's side of `veilflow bench secagg`: runs in simulation only, in processes that the bench has started."""

import secrets
import time
from typing import Any

import numpy as np

from veilflow.components.devices.events import sizes
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.privacy.secagg.declare import sends
from veilflow.components.privacy.secagg.secure_sum import SecureSum
from veilflow.components.privacy.secagg.settings import SumSettings
from veilflow.pipelines.party.traffic import TrafficMeter


def sums(
    ctx: Any, backend: str, clients: list[str], coordinator: str, length: int, rounds: int, value_bits: int
) -> dict[str, float]:
    """Seconds and sent bytes of ``rounds`` sums, and seconds of the set-up before them."""
    settings, bound = SumSettings(backend), (1 << (value_bits - 1)) - 1
    # The egress check as a pipeline's step has it, not the open one that a called function has.
    ctx._wire.gate.open({ctx.node: sends(settings, clients, coordinator)})
    sizes(ctx, coordinates=length, rounds=rounds + 1)
    started = time.monotonic()
    secure = SecureSum(ctx, settings, clients, coordinator, bound)
    vectors = {party: run_on(party, _vector, length, bound) for party in clients}
    _wait(coordinator, secure.sum(vectors))  # opens connections, compiles, prepares tables
    setup = time.monotonic() - started
    meter = TrafficMeter()
    before, started = meter.total(), time.monotonic()
    for _ in range(rounds):
        _wait(coordinator, secure.sum(vectors))
    seconds, sent = time.monotonic() - started, meter.total() - before
    meter.close()
    return {"seconds": seconds, "bytes": float(sent), "setup": setup}


def _wait(coordinator: str, total: Any) -> None:
    publish(run_on(coordinator, len, total))


def _vector(length: int, bound: int) -> np.ndarray:
    return np.random.default_rng(secrets.randbits(128)).integers(-bound, bound, length, endpoint=True)
