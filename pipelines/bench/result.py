"""The form every bench writes, and what it says of the machine."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """One measured figure.

    ``baseline`` names what it is compared with and ``ratio`` is value / the baseline's value in the same run (None
    where there is none).
    """

    case: str
    metric: str
    unit: str
    value: float
    baseline: str | None = None
    ratio: float | None = None


def machine() -> dict[str, str | int]:
    """What the figures were measured on."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.machine()
    return {
        "cpu": model,
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
    }


def to_json(bench: str, results: Sequence[Result]) -> str:
    """The content of ``--json FILE``."""
    document = {"bench": bench, "machine": machine(), "results": [asdict(each) for each in results]}
    return json.dumps(document, indent=2) + "\n"
