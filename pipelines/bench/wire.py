"""What the wire's protections cost: TLS, signatures, strict decoding, egress check, transcript; against the bare link.

Bare   SecretFlow's own `send` and `recv` over its brpc link without TLS, in a second set of party processes.
Cases  moving 100 MB of float32 from one party to another, and a split-learning step (`release: summed`, where most
       bytes move inside the SPU, and `per_example`, where all of them pass the wire).

Both sets of processes live at the same time and are measured in turns: whatever else the machine does hits both.
"""

import statistics
import tempfile
from pathlib import Path
from typing import Any

from veilflow.pipelines.bench.result import Result
from veilflow.pipelines.cluster.addresses import on_loopback

_PARTIES = ["hospital", "insurer", "coordinator"]
_SIDE = "veilflow.pipelines.bench.wire_party"
_STRIP = "veilflow.pipelines.party.wire.bare:strip"
_BARE = "bare link"


def run(rows: int | None = None, repeats: int = 7, megabytes: int = 100) -> list[Result]:
    """Measure.

    Args:
        rows: rows per split-learning epoch; 10 batches of 512 by default.
        repeats: measurements of each kind; the ratio is that of the medians.
        megabytes: size of the array that is moved.
    """
    from veilflow.pipelines.launch.simulation import Simulation

    rows = rows or 10 * 512
    with tempfile.TemporaryDirectory(prefix="veilflow-bench-") as folder:
        places = Path(folder)
        with (
            Simulation(places / "bare", _PARTIES) as bare,
            Simulation(places / "protected", _PARTIES, tls=True) as protected,
        ):
            bare.call(_STRIP, on_loopback(_PARTIES, {}).base)
            return [
                *_transfer(bare, protected, megabytes, repeats),
                *_steps(bare, protected, "summed", rows, max(3, repeats // 2)),
                *_steps(bare, protected, "per_example", 4 * rows, max(3, repeats // 2)),
            ]


def _transfer(bare: Any, protected: Any, megabytes: int, repeats: int) -> list[Result]:
    """Seconds from handing an array over until its receiver has looked at it."""
    times: dict[str, list[float]] = {"bare": [], "protected": []}
    for turn in range(repeats + 1):
        for name, cluster in (("bare", bare), ("protected", protected)):
            found = cluster.call(f"{_SIDE}:transfer", megabytes)
            if turn:  # the first one opens connections
                times[name].append(max(each["seconds"] for each in found.values()))
    return _compared(f"{megabytes} MB, one party to another", "wall time", "s", times)


def _steps(bare: Any, protected: Any, release: str, rows: int, repeats: int) -> list[Result]:
    times: dict[str, list[float]] = {"bare": [], "protected": []}
    for _ in range(repeats):
        for name, cluster in (("bare", bare), ("protected", protected)):
            found = cluster.call(f"{_SIDE}:split", release, rows)
            steps = rows // 512
            times[name].append(1000 * max(each["seconds"] for each in found.values()) / steps)
    return _compared(f"split-learning step, {release}, batch 512", "wall time", "ms", times)


def _compared(case: str, metric: str, unit: str, times: dict[str, list[float]]) -> list[Result]:
    plain, ours = statistics.median(times["bare"]), statistics.median(times["protected"])
    return [
        Result(f"{case}, TLS + signed + checked", metric, unit, ours, _BARE, ours / plain),
        Result(f"{case}, bare", metric, unit, plain),
    ]
