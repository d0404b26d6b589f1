"""One party's finished steps: artifacts by id, and an index from a step's key to the artifacts that fit it.

    <folder>/artifacts/<id>/<output>   what the step wrote at this party
    <folder>/index/<key>/<id>.json     the step's record: outputs, report, receipts, seconds, digests of its files

A record is written last and in one move, so a step that was cut off never counts as done. Files that were altered or
damaged since are noticed before a step reads them: the record holds the SHA-256 of each, and one of its own content.
Whoever can write both, this party's own user, could alter both: the digests are no signature.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from veilflow.components.errors import ComponentError
from veilflow.components.files import write_whole
from veilflow.pipelines.party.intact import Files, digests_of

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
        self._artifacts = folder / "artifacts"
        self._files: dict[str, Files] = {}

    def ids(self, key: str) -> list[str]:
        """Artifact ids of finished steps with this key whose files are there, oldest first.

        Raises:
            ComponentError: a record cannot be read.
        """
        found = sorted((self._index / key).glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        names = [path.stem for path in found if _ID.match(path.stem)]
        return [name for name in names if not self._known(name, self._read(key, name)["files"]).missing()]

    def load(self, key: str, artifact: str) -> StepRecord:
        """The record of a finished step.

        Raises:
            ComponentError: it is damaged or was altered.
        """
        raw = self._read(key, artifact)
        self._known(artifact, raw["files"])
        outputs = {name: base64.b64decode(text) for name, text in raw["outputs"].items()}
        return StepRecord(outputs, raw["summary"])

    def save(self, key: str, artifact: str, record: StepRecord) -> None:
        """Make the step count as done at this party."""
        self._files[artifact] = files = digests_of(self._artifacts / artifact)
        outputs = {name: base64.b64encode(raw).decode() for name, raw in record.outputs.items()}
        document = {"outputs": outputs, "summary": record.summary, "files": files.digests}
        document = json.loads(json.dumps(document))  # as it will be read
        text = json.dumps({**document, "sha256": _digest(document)})
        write_whole(self._index / key / f"{artifact}.json", text)

    def require_intact(self, output: str, artifact: str) -> None:
        """Nothing is computed from files that are not what their step wrote.

        Args:
            output: ``step.output`` of a step whose record was loaded, for the message.

        Raises:
            ComponentError: files of the artifact are altered, damaged or gone.
        """
        if altered := self._files[artifact].altered():
            raise ComponentError(
                f"'{output}' cannot be read: artifacts/{artifact}/{', '.join(altered)} was altered, damaged or removed "
                f"since step '{output.split('.')[0]}' wrote it. Remove artifacts/{artifact} in this party's folder and "
                "run again: that step is then done anew (or run with --no-cache)."
            )

    def _known(self, artifact: str, digests: Mapping[str, str]) -> Files:
        return self._files.setdefault(artifact, Files(self._artifacts / artifact, dict(digests)))

    def _read(self, key: str, artifact: str) -> dict[str, Any]:
        path = self._index / key / f"{artifact}.json"
        try:
            document = json.loads(path.read_bytes())
            if document.pop("sha256") == _digest(document):
                return dict(document)
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        raise ComponentError(
            f"the record index/{key}/{artifact}.json in this party's folder is damaged or was altered. Remove it and "
            "run again: its step is then done anew."
        )


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


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
