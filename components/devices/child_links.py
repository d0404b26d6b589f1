"""Links of secret machines on one SPU, numbered: the same two for the same machine at every party.

A spawned link is told apart from its siblings by the order of spawning alone. Machines are set up by threads, so two of
them could spawn in one order here and in another there, and would then wait for each other for ever.
"""

import threading
from typing import Any

_making = threading.Lock()
_ATTRIBUTE = "_veilflow_links"


def links(device: Any, machine: int) -> tuple[Any, Any]:
    """The data link and the control link of machine ``machine`` (from 0) on ``device``, an `SPURuntime`."""
    with _making:
        spawned: list[Any] = vars(device).setdefault(_ATTRIBUTE, [])
        while len(spawned) < 2 * machine + 2:
            spawned.append(device.link.spawn())
        return spawned[2 * machine], spawned[2 * machine + 1]


def next_number(device: Any) -> int:
    """The number of a new machine on ``device``, an `SPU`: its order among the calls, which all parties share."""
    with _making:
        number: int = vars(device).setdefault(_ATTRIBUTE, 0)
        vars(device)[_ATTRIBUTE] = number + 1
        return number
