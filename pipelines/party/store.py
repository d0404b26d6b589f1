"""One party's finished steps: artifacts by id, and an index from a step's key to the artifacts that fit it.

    <folder>/artifacts/<id>/<output>   what the step wrote at this party
    <folder>/index/<key>/<id>.json     the step's record: outputs, report, receipts, seconds

A record is written last and in one move, so a step that was cut off never counts as done.
"""

import base64
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_ID = re.compile(r"^[0-9a-f]{32}$")


@dataclass(frozen=True)
class StepRecord:
    """A finished step as one party keeps it."""

    outputs: dict[str, bytes]
    """Output name -> serialised `DistData`."""
    summary: dict[str, Any] = field(default_factory=dict)
    """What `run.json` says of it: metrics, report tabs, receipts, seconds, bytes."""


class Store:
    """The artifacts of one party."""

    def __init__(self, folder: Path) -> None:
        self._index = folder / "index"
        self._index.mkdir(parents=True, exist_ok=True)

    def ids(self, key: str) -> list[str]:
        """Artifact ids of finished steps with this key, oldest first."""
        found = sorted((self._index / key).glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return [path.stem for path in found if _ID.match(path.stem)]

    def load(self, key: str, artifact: str) -> StepRecord:
        raw = json.loads((self._index / key / f"{artifact}.json").read_text())
        outputs = {name: base64.b64decode(text) for name, text in raw["outputs"].items()}
        return StepRecord(outputs, raw["summary"])

    def save(self, key: str, artifact: str, record: StepRecord) -> None:
        """Make the step count as done at this party."""
        folder = self._index / key
        folder.mkdir(parents=True, exist_ok=True)
        outputs = {name: base64.b64encode(raw).decode() for name, raw in record.outputs.items()}
        write_atomically(folder / f"{artifact}.json", json.dumps({"outputs": outputs, "summary": record.summary}))


def step_key(
    component_id: str,
    code: str,
    params: Mapping[str, Any],
    devices: Mapping[str, Any],
    inputs: Mapping[str, list[str]],
    sources: Mapping[str, str],
) -> str:
    """What a step's result depends on at one party, hashed.

    Args:
        component_id: ``domain/name:version``.
        code: `code_digest`.
        params: the flat parameters.
        devices: protocol settings of the devices (never addresses).
        inputs: input name -> ``artifact-id/output`` of what is wired to it.
        sources: address of each file read at *this* party -> sha256 of its bytes.
    """
    document = [component_id, code, dict(params), dict(devices), dict(inputs), dict(sources)]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def code_digest(extra: str = "") -> str:
    """Hash of the package's own Python sources plus ``extra`` (library versions): new code, new results."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256(extra.encode())
    for folder in ("components", "datasets", "pipelines/party"):
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes, in blocks; ``missing`` for a file that is not there (reading it reports that)."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as source:
            while block := source.read(1 << 20):
                digest.update(block)
    except OSError:
        return "missing"
    return digest.hexdigest()


def write_atomically(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` so that a reader, or a crash, sees all of it or none."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
    with os.fdopen(handle, "w") as sink:
        sink.write(text)
        sink.flush()
        os.fsync(sink.fileno())
    os.replace(name, path)
