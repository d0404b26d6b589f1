"""A party's port and its way to the others', as one run has them."""

import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass

from veilflow.pipelines.cluster.hosts import split
from veilflow.pipelines.party.front.calling import Caller
from veilflow.pipelines.party.front.door import Door
from veilflow.pipelines.party.front.tls import Tls
from veilflow.pipelines.party.setup import PartySetup
from veilflow.pipelines.party.wire.identity import Identity


@dataclass(frozen=True)
class Front:
    """Everything that enters this process, and everything that leaves it for a party, passes here."""

    door: Door
    caller: Caller

    @staticmethod
    def open(setup: PartySetup, identity: Identity, tell: Callable[[str], None] = lambda text: None) -> "Front":
        """Listen at the party's address.

        Args:
            tell: told in words, at once, of every caller that is refused.
        """
        secured, table = Tls.of(setup.tls), setup.addresses.base
        door = Door(identity, table[setup.party], setup.listen, secured, _sources(setup), tell)
        return Front(door, Caller(identity, table, secured))


def _sources(setup: PartySetup) -> frozenset[str]:
    """IP addresses of the parties, as far as names are known here."""
    found: set[str] = set()
    for address in setup.addresses.base.values():
        with contextlib.suppress(OSError, UnicodeError):
            found |= {str(each[4][0]) for each in socket.getaddrinfo(*split(address), type=socket.SOCK_STREAM)}
    return frozenset(found)
