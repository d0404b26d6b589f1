"""The party's side of `veilflow bench wire`: runs in simulation only, in processes that the bench has started."""

import importlib
import secrets
import time
from typing import Any

import numpy as np
from secretflow.distributed.fed.proxy.brpc_link.brpc_link import BrpcLinkProxy
from secretflow.utils import secure_pickle

from veilflow.components.claims import PUBLISHED, Send
from veilflow.components.devices.labels import OPENED, SENT, SHARES
from veilflow.components.devices.pyu import publish, run_on, send_to
from veilflow.pipelines.bench.split_party import throughput
from veilflow.pipelines.party.wire.proxy import SecureLinkProxy

_ROWS = {"kind": "array", "dtype": "float32", "max_bytes": 1 << 30}


def strip(ctx: Any) -> None:
    """Take every protection off this process' wire, for the baseline: what is left is SecretFlow's own link.

    The processes' gate stays, unused; nothing else in this package can do this.
    """
    assert ctx.simulation, "the bench starts simulations"
    publish(run_on("hospital", lambda: True))  # what is on its way arrives by the rules it was sent under
    importlib.reload(secure_pickle)
    SecureLinkProxy.send = BrpcLinkProxy.send
    SecureLinkProxy.recv = BrpcLinkProxy.recv


def transfer(ctx: Any, megabytes: int) -> dict[str, float]:
    """Seconds until the insurer holds ``megabytes`` of the hospital's random float32."""
    _declare(ctx, [PUBLISHED, Send(SENT, ("hospital",), ("insurer",), shape=(None,), times=1, **_ROWS)])
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
        Send("embedding", ("insurer",), ("hospital",), shape=(512, 16), **_ROWS),
        Send("gradient", ("hospital",), ("insurer",), shape=(512, 16), **_ROWS),
    ]
    _declare(ctx, sends)
    return throughput(ctx, release, rows, 512, 10, "relu")


def _declare(ctx: Any, sends: list[Send]) -> None:
    """The egress check as a pipeline's step has it, not the open one that a called function has."""
    ctx._wire.gate.open({ctx.node: sends})


def _random(count: int) -> np.ndarray:
    return np.random.default_rng(secrets.randbits(128)).random(count, dtype=np.float32)
