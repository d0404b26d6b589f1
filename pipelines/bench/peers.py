"""Plain FedAvg here against Flower's simulation and NVFlare's simulator: same rows, network, batches, rounds.

Every side is a command, timed from its start to its end: imports, start-up, reading, compiling, training, the final
model on disk. Sides take turns, so that a busy machine is busy for all. Ratios are taken within a turn; the median
over turns counts. Flower and NVFlare run in environments of their own (benchmarks/peers/README.md).

Flower takes part twice: with our own compiled pass at its clients, so that the arithmetic is the same and what differs
is the framework, and with the client its documentation shows, which is what its users write.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

import numpy as np

from veilflow.pipelines.bench.marked import Marked
from veilflow.pipelines.bench.peers_task import BACKENDS, Task, quality, write
from veilflow.pipelines.bench.result import Result

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "peers"
REFERENCE = "VeilFlow, plain"
LIMIT_SECONDS = 900
LOSS_APART, AUC_APART = 0.01, 0.01

_THREADS = {
    "OMP_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
"""Alike for all: three clients share two cores, and threads of one would only take them from another."""
_PEERS = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # Ray yields to other programs by default: on a busy machine it would look slow
}

_FIGURES = (
    ("end to end", "s", "seconds"),
    ("processor, all processes", "CPU s", "processor"),
    ("a further round", "s", "per_round"),
)


class PeersFailed(Exception):
    """A side did not do the work; says which and why."""


@dataclass(frozen=True)
class Side:
    """A command that trains; ``arguments`` follow ``--data`` and ``--out`` at the others."""

    name: str
    python: str
    script: str
    arguments: tuple[str, ...] = ()

    @property
    def ours(self) -> bool:
        return not self.script

    def command(self, data: Path, out: Path) -> list[str]:
        """What is run."""
        if self.ours:
            file = data / f"{self.arguments[0]}.yaml"
            return [self.python, "-m", "veilflow.pipelines.bench.peers_ours", str(file), str(out)]
        return [self.python, str(SCRIPTS / self.script), "--data", str(data), "--out", str(out), *self.arguments]


@dataclass(frozen=True)
class Turn:
    """What one run of one side showed."""

    seconds: float
    """From the command to its end."""
    processor: float
    """User and system seconds of all its processes: what it costs, whatever else runs on the machine."""
    per_round: float
    """Mean of all rounds but the first, which compiles."""
    loss: float
    auc: float


def sides(flower_python: Path | None, nvflare_python: Path | None) -> list[Side]:
    """Who takes part; ours always do."""
    found = [Side(f"VeilFlow, {backend}", sys.executable, "", (backend,)) for backend in BACKENDS]
    if flower_python:
        python = str(flower_python.absolute())
        found.append(Side("Flower simulation, our compiled pass", python, "flower_app.py"))
        found.append(Side("Flower simulation, its documented client", python, "flower_documented.py"))
    if nvflare_python:
        python, eager = str(nvflare_python.absolute()), ("--interval", "0.05")
        found.append(Side("NVFlare simulator", python, "nvflare_job.py"))
        found.append(Side("NVFlare simulator, asking every 0.05 s", python, "nvflare_job.py", eager))
    return found


def run(
    rows: int | None = None,
    flower_python: Path | None = None,
    nvflare_python: Path | None = None,
    rounds: int = 20,
    repeats: int = 3,
) -> list[Result]:
    """Measure.

    Args:
        rows: of all banks together; 300 000 by default.
        flower_python: interpreter with flwr and Ray; those sides are left out without.
        nvflare_python: interpreter with nvflare; likewise.
        rounds: of training, at least 4.
        repeats: turns.

    Raises:
        PeersFailed: a side failed, or its model is not as good as ours: it did other work.
    """
    task = Task(rows=rows or Task.rows, rounds=rounds)
    taking, turns = sides(flower_python, nvflare_python), dict[str, list[Turn]]()
    seed = secrets.randbits(31)
    signal.signal(signal.SIGTERM, _end)
    with tempfile.TemporaryDirectory(prefix="veilflow-peers-") as folder:
        data = Path(folder) / "data"
        data.mkdir()
        write(task, data, seed)
        for number in range(repeats):
            for place, side in enumerate(taking):
                out = Path(folder) / f"out_{number}_{place}"
                turns.setdefault(side.name, []).append(one(side, data, out, seed))
    require_alike(turns)
    return results(turns, f"{task.rows} rows, {rounds} rounds, median of {repeats}")


def _end(*_: object) -> None:
    """So that whoever ends the bench also ends the side that runs just then."""
    sys.exit(128 + signal.SIGTERM)


def one(side: Side, data: Path, out: Path, seed: int) -> Turn:
    """Run one side once."""
    out.mkdir()
    seconds, processor = timed(side, side.command(data, out), data, out / "output.txt")
    starts = json.loads((out / "starts.json").read_text())
    with np.load(out / "model.npz", allow_pickle=False) as stored:
        loss, auc = quality(dict(stored), seed)
    return Turn(seconds, processor, per_round(starts), loss, auc)


def timed(side: Side, command: Sequence[str], folder: Path, log: Path) -> tuple[float, float]:
    """Wall and processor seconds that ``command`` takes; nothing it started outlives this call.

    Raises:
        PeersFailed: it failed or took too long.
    """
    environment = {**os.environ, **_THREADS, **({} if side.ours else _PEERS)}
    # Without compiled modules a side spends its start-up on parsing; whoever uses it has them.
    for name in ("PYTHONDONTWRITEBYTECODE", *(() if side.ours else ("PYTHONPATH",))):
        environment.pop(name, None)
    with log.open("wb") as output, Marked() as marked:
        environment |= marked.environment
        started = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            code = process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise PeersFailed(f"{side.name} took more than {LIMIT_SECONDS} s.") from error
        seconds = time.monotonic() - started
    if code:
        tail = "\n  ".join(log.read_text(errors="replace").splitlines()[-15:])
        raise PeersFailed(f"{side.name} ended with exit code {code}; it printed last:\n  {tail}")
    return seconds, marked.processor_seconds


def per_round(starts: Sequence[float]) -> float:
    """Mean seconds per round without the first.

    Args:
        starts: when rounds began and the last ended, or when rounds ended; the first interval is left out.
    """
    gaps = np.diff(np.asarray(starts, np.float64))[1:]
    if not len(gaps):
        raise PeersFailed("too few rounds: at least 4 are needed to tell what one takes.")
    return fmean(gaps)


def require_alike(turns: Mapping[str, Sequence[Turn]]) -> None:
    """All sides end with about the same model quality, or the comparison says nothing.

    Raises:
        PeersFailed: names the side and both figures.
    """
    reference = turns[REFERENCE]
    for name, found in turns.items():
        for metric, apart in (("loss", LOSS_APART), ("auc", AUC_APART)):
            ours, theirs = (median(getattr(turn, metric) for turn in each) for each in (reference, found))
            if not abs(ours - theirs) <= apart:
                raise PeersFailed(f"{name} reaches {metric} {theirs:.4f}, {REFERENCE} {ours:.4f}: not the same work.")


def results(turns: Mapping[str, Sequence[Turn]], what: str) -> list[Result]:
    """A ratio is how many times as much as `REFERENCE` in the same turn; the median over turns."""
    found: list[Result] = []
    for name, here in turns.items():
        for metric, unit, field in _FIGURES:
            value = median(getattr(turn, field) for turn in here)
            both = zip(here, turns[REFERENCE], strict=True)
            ratio = median(getattr(turn, field) / getattr(base, field) for turn, base in both)
            against = (None, None) if name == REFERENCE else (REFERENCE, ratio)
            found.append(Result(f"{name}; {what}", metric, unit, value, *against))
        for field in ("loss", "auc"):
            found.append(Result(f"{name}; {what}", f"test {field}", "", median(getattr(t, field) for t in here)))
    return found
