"""Our side of `bench peers` as a command: `python -m veilflow.pipelines.bench.peers_ours FILE OUT`.

Does what `veilflow run FILE --out OUT` does, and notes when rounds end, as the other sides do.
"""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from veilflow.pipelines.launch import forkserver

if TYPE_CHECKING:
    import numpy as np

_PREFIX = "model//params/"


def main(file: Path, out: Path) -> int:
    """Run, then write ``starts.json`` and ``model.npz`` where the bench looks for them."""
    forkserver.context()  # before anything else is imported, as `veilflow run` does
    import numpy as np

    from veilflow.pipelines.launch.processes import Event
    from veilflow.pipelines.launch.run import run_here

    ends: dict[str, float] = {}

    def watch(event: Event) -> None:
        if event.kind == "progress" and event.party == "coordinator":
            ends[event.body["values"]["round"]] = time.monotonic()

    run = run_here(file, out, use_cache=False, observer=watch)
    if run.error is not None:
        print(run.error.message, file=sys.stderr)
        return 4
    (out / "starts.json").write_text(json.dumps(list(ends.values())))
    np.savez(out / "model.npz", **stored(out / "coordinator" / "artifacts"))  # type: ignore[arg-type]
    return 0


def stored(artifacts: Path) -> "dict[str, np.ndarray]":
    """The model in the coordinator's store."""
    import numpy as np

    (file,) = artifacts.glob("*/model")
    with np.load(file, allow_pickle=False) as found:
        return {name.removeprefix(_PREFIX): found[name] for name in found.files if name.startswith(_PREFIX)}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
