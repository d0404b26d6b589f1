"""Anonymous alignment against SecretFlow's plain PSI: the same CSV files, the same machine, one run.

Ours      from two holders' CSV files to SPU-ready shares of all columns in files at three parties (ABY3): coordinator
          protocol, count not hidden (as PSI does not hide it); up to a million rows by comparison inside the SPU, with
          all columns and with none; and, up to 100 000 rows, two parties alone (CHEETAH), which is processor time for
          Diffie-Hellman.
Plain     our component `alignment/psi` as a whole, on the same files: IDs made comparable, RR22 in the library, rows
          fetched, order agreed and compared, both parts stored.
Baseline  SecretFlow's library on the same files, CSV out at both holders: RR22, and KKRT and ECDH up to a million rows.
          They tell both holders who is common and make no shares.

Half of each table's people are common. Wall time is with links connected before; processor time is that of all threads
and tells more where the machine does other work, too; bytes are what all parties have sent over TCP, from the kernel;
memory is the largest peak of a party's process, some 0.5 GB of libraries included. The commands that the library starts
(`sort`) count in processor time, not in memory.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from veilflow.pipelines.bench.result import Result

_PARTIES = ["hospital", "insurer", "coordinator"]
_PARTY_SIDE = "veilflow.pipelines.bench.alignment_party"
_BASELINE = "RR22"
_SLOW = ("KKRT", "ECDH")
_SLOW_UP_TO = 1_000_000
_WIDE_UP_TO = 3_000_000
_TWO_PARTY_UP_TO = 100_000

Figures = dict[str, dict[str, Any]]
"""Per party its ``seconds``, ``cpu`` (seconds), ``bytes``, ``peak`` (bytes of memory) and ``rows`` of the result."""


def run(rows: int | None = None, columns: int | None = None) -> list[Result]:
    """Measure.

    Args:
        rows: people at each of two holders.
        columns: at each holder; 14, or 2 from three million rows on.
    """
    from veilflow.pipelines.launch.simulation import Simulation

    rows = rows or 1_000_000
    columns = columns or (14 if rows <= _WIDE_UP_TO else 2)
    with tempfile.TemporaryDirectory(prefix="veilflow-bench-") as folder, Simulation(Path(folder), _PARTIES) as parties:
        return measure(parties.call, rows, columns)


def measure(call: Callable[..., Figures], rows: int, columns: int) -> list[Result]:
    """All methods on tables written into the parties' storage. ``call`` calls a function by name at every party."""
    call(f"{_PARTY_SIDE}:write_tables", rows, columns)
    methods = [_BASELINE, *(_SLOW if rows <= _SLOW_UP_TO else ())]
    found = {"anonymous, coordinator": call(f"{_PARTY_SIDE}:ours", columns)}
    if rows <= _SLOW_UP_TO:
        found["anonymous, spu_compare"] = call(f"{_PARTY_SIDE}:ours", columns, "spu_compare")
        found["anonymous, spu_compare, IDs only"] = call(f"{_PARTY_SIDE}:ours", 0, "spu_compare")
    if rows <= _TWO_PARTY_UP_TO:
        found["anonymous, two_party"] = call(f"{_PARTY_SIDE}:ours", columns, "two_party")
    found["alignment/psi, whole component"] = call(f"{_PARTY_SIDE}:plain", columns)
    found |= {name: call(f"{_PARTY_SIDE}:library", name) for name in methods}
    wanted = {each["rows"] for figures in found.values() for each in figures.values() if each["rows"] is not None}
    if len(wanted) != 1:
        raise RuntimeError(f"the methods found different numbers of common people: {sorted(wanted)}")
    case = f"{rows} x {rows} rows, {columns}+{columns} columns"
    return [result for name in found for result in _results(case, name, found)]


_METRICS = (
    ("wall time", "s", "seconds", 1.0, max),
    ("processor time, all parties", "CPU s", "cpu", 1.0, sum),
    ("sent, all parties", "MB", "bytes", 1e6, sum),
    ("peak memory of a party", "GB", "peak", 1e9, max),
)
"""Metric, unit, figure of a party, what a unit is, and how the parties' figures become one."""


def _results(case: str, name: str, found: dict[str, Figures]) -> list[Result]:
    """One method's figures as ratios to RR22, and its time to ECDH's where that ran."""
    results = []
    for metric, unit, key, scale, together in _METRICS:
        values = {method: together(each[key] for each in figures.values()) / scale for method, figures in found.items()}
        baselines = [_BASELINE, *(["ECDH"] if unit == "s" and "ECDH" in values and name != "ECDH" else [])]
        for baseline in baselines:
            ratio = values[name] / values[baseline]
            results.append(Result(f"{name}, {case}", metric, unit, values[name], baseline, ratio))
    return results
