"""A party's own record of what crossed the wire: one JSON line per object, digests and shapes, never values.

It lies in the party's folder and stays there: a digest of a small number tells the number to whoever tries them all.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from veilflow.pipelines.party.wire.describe import Seen
from veilflow.pipelines.party.wire.envelope import Header

FILE = "transcript.jsonl"


class Transcript:
    """Appends to ``folder/transcript.jsonl`` and keeps totals per step.

    Called from SecretFlow's sending and receiving threads; each writes whole lines, which are in the file at once: a
    run that is refused ends without a goodbye, and its last lines are those that matter.
    """

    def __init__(self, folder: Path) -> None:
        self._file = (folder / FILE).open("a", encoding="utf-8", buffering=1)
        self._sent: dict[str, Counter[tuple[str, str, str, str]]] = {}
        self._bytes: dict[str, Counter[tuple[str, str, str, str]]] = {}

    def move(self, folder: Path) -> None:
        """Go on in another folder: a living simulation has one per run."""
        self.flush()
        self._file.close()
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / FILE).open("a", encoding="utf-8", buffering=1)

    def note(self, direction: str, peer: str, header: Header, seen: Seen) -> None:
        """Record one object; ``direction`` is ``out`` or ``in``."""
        line = {
            "direction": direction,
            "peer": peer,
            "step": header.step,
            "what": header.what,
            "kind": seen.kind,
            "dtype": seen.dtype,
            "shape": list(seen.shape),
            "items": seen.items,
            "bytes": header.size,
            "number": header.number,
            "sha256": header.sha256,
        }
        self._file.write(json.dumps(line) + "\n")
        if direction == "out":
            shape = "x".join(map(str, seen.shape))
            key = (peer, header.what, seen.kind, f"{seen.dtype}[{shape}]" if seen.kind == "array" else "")
            self._sent.setdefault(header.step, Counter())[key] += 1
            self._bytes.setdefault(header.step, Counter())[key] += header.size

    def totals(self, step: str) -> list[dict[str, Any]]:
        """What this party sent in ``step``: one entry per receiver, label and shape."""
        sizes = self._bytes.get(step, Counter())
        return [
            {"to": to, "what": what, "kind": kind, "type": form, "objects": count, "bytes": sizes[to, what, kind, form]}
            for (to, what, kind, form), count in sorted(self._sent.get(step, Counter()).items())
        ]

    def forget(self) -> None:
        """Start the totals anew: another run begins."""
        self._sent.clear()
        self._bytes.clear()

    def flush(self) -> None:
        self._file.flush()
