"""What the machinery itself costs: ten steps that do nothing, three parties, from a cold start to the report.

Baseline: the way SecretFlow's own `comp_eval` works, in the same run - each party imports SecretFlow by itself, and
each step sets a cluster up and tears it down.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from veilflow.pipelines.bench.result import Result
from veilflow.pipelines.cluster.addresses import on_loopback

_PARTIES = ["hospital", "insurer", "coordinator"]

_NAIVE = """
import sys, os
party, steps, *addresses = sys.argv[1:]
import secretflow as sf
os.environ["SF_UT_DO_NOT_EXIT_ENV_FLAG"] = "1"
table = {name: {"address": address} for name, address in (each.split("=") for each in addresses)}
for _ in range(int(steps)):
    sf.init(cluster_config={"parties": table, "self_party": party}, ray_mode=False,
            cross_silo_comm_backend="brpc_link", logging_level="error",
            cross_silo_comm_options={"connect_retry_times": 600, "connect_retry_interval_ms": 100})
    sf.wait([sf.PYU(each)(lambda: None)() for each in table])
    sf.shutdown(barrier_on_shutdown=True)
os._exit(0)
"""


def run(rows: int | None = None, steps: int = 10) -> list[Result]:
    """Measure; ``rows`` has no meaning here."""
    del rows
    with tempfile.TemporaryDirectory(prefix="veilflow-bench-") as folder:
        ours = _ours(Path(folder), steps)
        naive = _naive(steps)
    case = f"{steps} empty steps, {len(_PARTIES)} parties"
    return [
        Result(case, "wall time, veilflow run", "s", ours, "one SecretFlow set-up per step", ours / naive),
        Result(case, "wall time, one SecretFlow set-up per step", "s", naive),
    ]


def _ours(folder: Path, steps: int) -> float:
    nodes = "\n".join(f"  step{index}: {{uses: flow/barrier}}" for index in range(steps))
    file = folder / "empty.yaml"
    file.write_text(f"version: 1\nname: empty\nparties: [{', '.join(_PARTIES)}]\nnodes:\n{nodes}\n")
    # A process of its own: a cold start, as a user has it.
    command = [sys.executable, "-m", "veilflow.pipelines.cli", "run", str(file), "--out", str(folder / "out")]
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


def _naive(steps: int) -> float:
    table = on_loopback(_PARTIES, {}).base
    addresses = [f"{party}={address}" for party, address in table.items()]
    started = time.monotonic()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _NAIVE, party, str(steps), *addresses],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for party in _PARTIES
    ]
    try:
        codes = [process.wait(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    if any(codes):
        raise RuntimeError(f"the baseline failed: exit codes {codes}")
    return time.monotonic() - started
