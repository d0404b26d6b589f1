"""How many epochs were begun in all attempts of one training: each may have told something before the attempt ended.

An attempt that goes on from a checkpoint repeats what came after it, with fresh noise. What it repeats is paid for a
second time, so it counts: with checkpoints, all attempts together begin as many epochs as epsilon was reckoned for.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.errors import ComponentError
from veilflow.components.files import write_whole


class Begun:
    """A count at each data holder; the largest is valid.

    Args:
        folder: this process's own folder of checkpoints; None: no attempt goes on from another, so nothing is kept.
        key: of the training, see `checkpoints.training_key`.
        most: epochs that may be begun.
    """

    def __init__(self, folder: Path | None, key: str, parties: Sequence[str], most: int) -> None:
        self._folder, self._key, self._parties, self._most = folder, key, parties, most
        self.count = 0
        """Epochs begun, this one included."""

    def another(self, done: int) -> bool:
        """Whether one more epoch may begin; it is counted, on disk, before it does.

        Args:
            done: epochs whose result is at hand.

        Raises:
            ComponentError: none may begin, and there is no result.
        """
        if self._folder is None:
            self.count += 1
            return self.count <= self._most
        folder, key = self._folder, self._key
        counts = publish({party: run_on(party, lambda: _counted(folder, key)) for party in self._parties})
        found = max(counts.values())
        if found > self._most:
            if not done:
                raise ComponentError(
                    "earlier attempts at this training were broken off and used up its epsilon; another one would tell "
                    "more than that. Give a new --out folder to train anew, and count both."
                )
            return False
        self.count = found
        return True

    def clear(self) -> None:
        """Forget: the model is stored."""
        if self._folder is not None:
            path = _path(self._folder, self._key)
            publish({party: run_on(party, _remove, path) for party in self._parties})


def _path(folder: Path, key: str) -> Path:
    return folder / f"begun-{key[:32]}.json"


def _remove(path: Path) -> bool:
    path.unlink(missing_ok=True)
    return True


def _counted(folder: Path, key: str) -> int:
    """One more than was counted here, on disk before this returns."""
    path = _path(folder, key)
    count = 1 + (json.loads(path.read_bytes()) if path.exists() else 0)
    write_whole(path, json.dumps(count))
    return count
