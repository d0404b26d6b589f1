"""Checkpoints: each party keeps its own part on its own disk, and all agree on the last epoch they have in common."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from veilflow.components.devices.objects import pack, unpack
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.errors import ComponentError
from veilflow.components.files import write_whole
from veilflow.components.training.parts import Part, merge, section

_KEPT = 2  # a crash while parties write leaves some of them one checkpoint behind


def training_key(facts: Mapping[str, Any]) -> str:
    """Name of what is being trained: checkpoints of anything else are not used."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def data_digest(data: tuple[np.ndarray | None, ...]) -> str:
    """Digest of a party's own arrays. It stays at that party: other rows, no resume."""
    digest = hashlib.sha256()
    for array in data:
        digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class Checkpoints:
    """Where to and by whom the state of a training is stored.

    Args:
        folder: this process's own folder for them (another one in every party's process).
        key: see `training_key`.
        digests: per data holder its `data_digest`, at that party.
        parties: everybody who holds a part of the state.
    """

    def __init__(self, folder: Path, key: str, digests: Mapping[str, Any], parties: list[str]) -> None:
        self._folder, self._key, self._digests, self._parties = folder, key, digests, parties

    def save(
        self, epoch: int, identity: str, state: Mapping[str, Mapping[str, Any]], rows: list[dict[str, float]]
    ) -> None:
        """Store ``state`` (section -> party -> part) and the history after ``epoch`` epochs; returns when all have."""
        head = {"key": self._key, "epoch": epoch, "history": rows}
        done = {}
        for party in self._parties:
            names = [name for name, parts in state.items() if party in parts]
            parts = [state[name][party] for name in names]
            done[party] = run_on(party, _writer(self._folder, head, identity, names), self._digest(party), *parts)
        publish(done)

    def last_common(self) -> tuple[int, str] | None:
        """(epoch, identity) of the newest checkpoint that every party has, or None."""
        folder, key = self._folder, self._key
        offers = publish(
            {
                party: run_on(party, lambda digest: _offers(folder, key, digest), self._digest(party))
                for party in self._parties
            }
        )
        common = set.intersection(*({(int(e), str(i)) for e, i in each} for each in offers.values()))
        return max(common) if common else None

    def load(
        self, epoch: int, sections: Mapping[str, list[str]]
    ) -> tuple[dict[str, dict[str, Any]], list[dict[str, float]]]:
        """The state after ``epoch`` epochs (section -> party -> part) and the public history."""
        folder = self._folder
        stored = {party: run_on(party, lambda: _read(_path(folder, epoch))) for party in self._parties}
        state = {
            name: {party: run_on(party, section, stored[party], name) for party in parties}
            for name, parties in sections.items()
        }
        first = self._parties[0]
        rows: list[dict[str, float]] = publish(run_on(first, lambda part: part[0]["history"], stored[first]))
        return state, rows

    def clear(self) -> None:
        """Remove all checkpoints of this training: the model is stored now."""
        folder = self._folder
        publish({party: run_on(party, lambda: _remove(folder, keep=0)) for party in self._parties})

    def _digest(self, party: str) -> Any:
        return self._digests.get(party, "")


def _writer(folder: Path, head: dict[str, Any], identity: str, names: list[str]) -> Any:
    def write(digest: str, *parts: Part) -> bool:
        document, arrays = merge(identity, dict(zip(names, parts, strict=True)), [])
        target = _path(folder, head["epoch"])
        raw = pack({**document, **head, "data": digest}, arrays)
        write_whole(target, sealed(raw))
        _remove(folder, keep=_KEPT)
        return True

    return write


def _path(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch:06d}.npz"


def sealed(raw: bytes) -> bytes:
    """``raw`` with its digest after it: a checkpoint that was altered or damaged is not trained on."""
    return raw + hashlib.sha256(raw).digest()


def _read(path: Path) -> Part:
    raw = path.read_bytes()
    if sealed(raw[:-32]) != raw:
        raise ComponentError(
            f"the checkpoint {path.name} is damaged or was altered; remove it to train from an earlier one or anew."
        )
    return unpack(raw[:-32])


def _remove(folder: Path, keep: int) -> bool:
    stored = sorted(folder.glob("epoch-*.npz"))
    for path in (*stored[: len(stored) - keep], *folder.glob(".epoch-*")):  # drafts of a process that was ended
        path.unlink()
    return True


def _offers(folder: Path, key: str, digest: str) -> list[tuple[int, str]]:
    """(epoch, identity) of the checkpoints here that belong to this training on this data."""
    found = []
    for path in folder.glob("epoch-*.npz"):
        document, _ = _read(path)
        if document["key"] == key and document["data"] == digest:
            found.append((int(document["epoch"]), str(document["identity"])))
    return found
