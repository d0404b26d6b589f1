"""Where the parties of a run listen.

A party has one port, which all its links enter by (`party.front.door`). Without TLS, on one machine, the links that
libraries drive have ports of their own, counted from the party's:

    +0            the party's port
    +1 .. +8      SPU devices, in the order of the pipeline file
    +9 ..         two-party links, in the order of `pair_names`
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

from veilflow.pipelines.cluster.hosts import join, split
from veilflow.pipelines.cluster.ports import is_free

MAX_DEVICES = 8
_DEVICE_OFFSET = 1
_PAIR_OFFSET = _DEVICE_OFFSET + MAX_DEVICES


class AddressError(Exception):
    """Addresses do not work out; the message says which and what to change."""


@dataclass(frozen=True)
class Addresses:
    """Party -> ``host:port``; per link of a library likewise, where it has ports of its own."""

    base: dict[str, str]
    devices: dict[str, dict[str, str]]
    pairs: dict[str, dict[str, str]]

    def of_pair(self, one: str, other: str) -> dict[str, str]:
        """Addresses of the link between two parties."""
        return self.pairs[pair_name(one, other)]

    def own_ports(self, party: str) -> list[int]:
        """Every port that ``party`` listens on, its own one first."""
        tables = [self.base, *self.devices.values(), *self.pairs.values()]
        return [split(table[party])[1] for table in tables if party in table]

    def with_one_port(self) -> "Addresses":
        """The same parties with TLS: every link enters by the party's port."""
        return Addresses(self.base, {}, {})

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "Addresses":
        return Addresses(**json.loads(text))


def pair_name(one: str, other: str) -> str:
    """The name of the link between two parties, the same from both sides."""
    return "|".join(sorted((one, other)))


def ports_needed(parties: Sequence[str]) -> int:
    """How many consecutive ports a party needs where libraries' links have their own."""
    return _PAIR_OFFSET + len(parties) * (len(parties) - 1) // 2


def from_bases(bases: Mapping[str, tuple[str, int]], devices: Mapping[str, Sequence[str]]) -> Addresses:
    """Derive all addresses from each party's (host, base port).

    Args:
        bases: party -> (host, base port), for all parties of the run.
        devices: SPU name -> its parties, in the order of the pipeline file.

    Raises:
        AddressError: there are more devices than the layout holds, or a base port is too high.
    """
    if len(devices) > MAX_DEVICES:
        raise AddressError(f"{len(devices)} SPU devices, but the port layout holds {MAX_DEVICES}: remove some.")

    def at(party: str, offset: int) -> str:
        host, base = bases[party]
        if base + offset > 65535:
            needed = ports_needed(list(bases))
            raise AddressError(
                f"{party} needs {needed} ports from {base} on, and 65535 is the last one: "
                f"choose a base port up to {65536 - needed}."
            )
        return join(host, base + offset)

    pairs = [pair_name(*pair) for pair in combinations(sorted(bases), 2)]
    return Addresses(
        base={party: at(party, 0) for party in bases},
        devices={
            name: {party: at(party, _DEVICE_OFFSET + index) for party in parties}
            for index, (name, parties) in enumerate(devices.items())
        },
        pairs={
            name: {party: at(party, _PAIR_OFFSET + index) for party in name.split("|")}
            for index, name in enumerate(pairs)
        },
    )


def on_loopback(parties: Sequence[str], devices: Mapping[str, Sequence[str]]) -> Addresses:
    """Free addresses on 127.0.0.1, below the range the kernel hands out for outgoing connections.

    Until they are kept (`ports.Kept`), another run may choose them, too.
    """
    needed = ports_needed(parties)
    bases: dict[str, tuple[str, int]] = {}
    candidate = _first_candidate()
    for party in parties:
        while not all(is_free("127.0.0.1", candidate + offset, alone=True) for offset in range(needed)):
            candidate += needed
            if candidate + needed > _LAST_PORT:
                raise AddressError(
                    f"no {needed} free consecutive ports on 127.0.0.1 between {_FIRST_PORT} and {_LAST_PORT}."
                )
        bases[party] = ("127.0.0.1", candidate)
        candidate += needed
    return from_bases(bases, devices)


_FIRST_PORT, _LAST_PORT = 15000, 32000


def _first_candidate() -> int:
    # Start somewhere else each time: a run that has just ended leaves its ports in TIME_WAIT.
    import secrets

    return _FIRST_PORT + secrets.randbelow((_LAST_PORT - _FIRST_PORT) // 2)
