"""Start a simulation at ports that nobody has: free when they were chosen, they may be taken when it starts."""

from collections.abc import Callable, Mapping

from veilflow.pipelines.launch.processes import Event, PartyFailed, PartyProcesses
from veilflow.pipelines.launch.setups import elsewhere
from veilflow.pipelines.party.setup import PartySetup

_MOVES = 8


def start_anywhere(setups: Mapping[str, PartySetup], on_event: Callable[[Event], None] | None = None) -> PartyProcesses:
    """The started processes of all parties; where a port of theirs has been taken, at other ports.

    Raises:
        PartyFailed: as `PartyProcesses.start`.
    """
    for left in range(_MOVES, -1, -1):
        try:
            return PartyProcesses(setups, keep_ports=True).start(on_event)
        except PartyFailed as failure:
            if not (failure.taken and left):
                raise
            setups = elsewhere(setups)
    raise AssertionError("the last attempt returns or raises")
