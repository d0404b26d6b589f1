"""The party's side of `veilflow bench secagg`: runs in simulation only, in processes that the bench has started."""

import secrets
import time
from typing import Any

import numpy as np

from veilflow.components.claims import PUBLISHED, Send
from veilflow.components.devices.events import sizes
from veilflow.components.devices.pyu import publish, run_on, send_to
from veilflow.components.privacy.secagg.declare import BARE, sends
from veilflow.components.privacy.secagg.secure_sum import SecureSum
from veilflow.components.privacy.secagg.settings import SumSettings
from veilflow.pipelines.party.traffic import TrafficMeter


def sums(
    ctx: Any, backend: str, clients: list[str], coordinator: str, length: int, rounds: int, value_bits: int
) -> dict[str, float]:
    """Seconds, processor seconds and sent bytes of ``rounds`` sums, and seconds of the set-up before them."""
    settings, bound = SumSettings(backend), (1 << (value_bits - 1)) - 1
    # The egress check as a pipeline's step has it, not the open one that a called function has.
    ctx._wire.gate.open({ctx.node: sends(settings, clients, coordinator)})
    sizes(ctx, coordinates=length, rounds=rounds + 1)
    started = time.monotonic()
    secure = SecureSum(ctx, settings, clients, coordinator, bound)
    vectors = {party: run_on(party, _vector, length, bound) for party in clients}
    _wait(coordinator, secure.sum(vectors, length=length))  # opens connections, compiles, prepares tables
    setup = time.monotonic() - started
    meter = TrafficMeter()
    before, busy, started = meter.total(), time.process_time(), time.monotonic()
    for _ in range(rounds):
        _wait(coordinator, secure.sum(vectors, length=length))
    seconds, sent = time.monotonic() - started, meter.total() - before
    busy = time.process_time() - busy
    meter.close()
    return {"seconds": seconds, "processor": busy, "bytes": float(sent), "setup": setup}


def dense(ctx: Any, clients: list[str], coordinator: str, length: int, rounds: int) -> dict[str, float]:
    """Sent bytes of ``rounds`` sums of float32 vectors in the clear."""
    line = Send(BARE, tuple(clients), (coordinator,), "array", "float32", ("coordinates",), max_bytes=1 << 30)
    ctx._wire.gate.open({ctx.node: [PUBLISHED, line]})
    sizes(ctx, coordinates=length)
    vectors = {party: run_on(party, lambda: _vector(length, 100).astype(np.float32)) for party in clients}
    meter, before = TrafficMeter(), 0
    for number in range(rounds + 1):
        before = meter.total() if number == 1 else before
        sent = [run_on(party, lambda vector: vector + 0, vector) for party, vector in vectors.items()]
        sent = [one if one.device.party == coordinator else send_to(coordinator, one, BARE) for one in sent]
        _wait(coordinator, run_on(coordinator, lambda *each: np.sum(each, axis=0), *sent))
    total = meter.total() - before
    meter.close()
    return {"bytes": float(total)}


def _wait(coordinator: str, total: Any) -> None:
    publish(run_on(coordinator, len, total))


def _vector(length: int, bound: int) -> np.ndarray:
    return np.random.default_rng(secrets.randbits(128)).integers(-bound, bound, length, endpoint=True)
