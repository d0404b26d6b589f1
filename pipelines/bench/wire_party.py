"""The party's side of `veilflow bench wire`: runs in simulation only, in processes that the bench has started."""

import secrets
import time
from typing import Any

import numpy as np

from veilflow.components.claims import PUBLISHED, Send
from veilflow.components.devices.labels import OPENED, SENT, SHARES
from veilflow.components.devices.pyu import publish, run_on, send_to
from veilflow.pipelines.bench.split_party import throughput


def _floats(what: str, sender: str, to: str, shape: tuple[int | None, ...], times: int | None = None) -> Send:
    return Send(what, (sender,), (to,), "array", "float32", shape, max_bytes=1 << 30, times=times)


def transfer(ctx: Any, megabytes: int) -> dict[str, float]:
    """Seconds until the insurer holds ``megabytes`` of the hospital's random float32."""
    _declare(ctx, [PUBLISHED, _floats(SENT, "hospital", "insurer", (None,), 1)])
    made = run_on("hospital", _random, megabytes << 18)
    publish(run_on("hospital", len, made))
    started = time.monotonic()
    length: int = publish(run_on("insurer", len, send_to("insurer", made)))
    seconds = time.monotonic() - started
    assert length == megabytes << 18, "everything has arrived"
    return {"seconds": seconds}


def split(ctx: Any, release: str, rows: int) -> dict[str, float]:
    """Seconds of one epoch; see `split_party.throughput`."""
    sends = [
        PUBLISHED,
        Send(SHARES, kind="bytes", max_bytes=1 << 30),
        Send(OPENED, to=("hospital", "insurer"), kind="bytes", max_bytes=1 << 26),
        _floats("embedding", "insurer", "hospital", (512, 16)),
        _floats("gradient", "hospital", "insurer", (512, 16)),
    ]
    _declare(ctx, sends)
    return throughput(ctx, release, rows, 512, 10, "relu")


def _declare(ctx: Any, sends: list[Send]) -> None:
    """The egress check as a pipeline's step has it, not the open one that a called function has."""
    ctx._wire.gate.open({ctx.node: sends})


def _random(count: int) -> np.ndarray:
    return np.random.default_rng(secrets.randbits(128)).random(count, dtype=np.float32)
