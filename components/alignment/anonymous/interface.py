"""What every anonymous alignment takes and gives, so that protocols can be exchanged.

In   per holder a `Holding` at that holder: one row per person, IDs packed, values in the SPU's ring.
Out  `Shared`: per party of the SPU its shares of the joined rows, as `devices.secret_table` stores them.

A protocol is a function ``align(parties, holdings, plan, note) -> Shared``. It never touches a device itself: it places
functions at parties through `Parties`, which is SecretFlow's links in a run and a recorder in tests, so that the very
same code is what a transcript test looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # claims read this module, and must stay light
    import numpy as np

    from veilflow.components.alignment.anonymous.packed_ids import PackedIds

At = Any
"""A value at one party: a device object in a run. Only functions placed there see what is in it."""


class Parties(Protocol):
    """How a protocol places its work; every party makes the same calls in the same order."""

    def run(self, party: str, fn: Callable[..., Any], *args: Any, returns: int = 1) -> Any:
        """``fn(*args)`` at ``party``; arguments are plain or live there. The result stays there."""

    def send(self, party: str, value: At, what: str = "sent") -> At:
        """``value``, opened to ``party`` and to nobody else; ``what`` is its label in the step's claims."""

    def publish(self, values: Any) -> Any:
        """The values behind a tree of `At`, at every party."""


@dataclass(frozen=True)
class Holding:
    """A holder's people, at the holder."""

    ids: PackedIds
    """Distinct, one per row."""
    values: np.ndarray
    """uint64, shape (people, columns): fixed point with 18 fraction bits in the ring mod 2^64 (`ring.encode`)."""
    noise: bytes | None = field(default=None, repr=False)
    """Key of what the holder draws alike in every run on the same people (`ledger.noise`): noise on the count, or with
    `coordinator` pseudonyms; None where no run ledger is kept: fresh."""


@dataclass(frozen=True)
class Column:
    """A public description of one column of the result."""

    name: str
    owner: str
    """Whose data it is; empty for a mask, which belongs to nobody."""
    kind: str = "feature"
    """``feature``, ``label``, or ``mask``: 1 for rows that are people in common, 0 for padding."""


MASK = Column("member", "", "mask")

ABY3, CHEETAH = "ABY3", "CHEETAH"
SHARES = {ABY3: 2, CHEETAH: 1}
"""Protocol of the SPU -> k, how many ring elements each of its parties keeps of a value."""

NOT_HIDDEN, ROUNDED, FULL = "no", "rounded", "full"
HIDE_COUNT: Mapping[str, str] = {
    NOT_HIDDEN: "all learn how many people are common",
    ROUNDED: "holders learn it rounded up to three binary digits, at most a quarter too many",
    FULL: "holders learn nothing: the table has as many rows as the smallest set has people",
}


@dataclass(frozen=True)
class AlignmentPlan:
    """What is public before a protocol starts; the same at every party."""

    columns: Mapping[str, tuple[Column, ...]]
    """Holder -> its columns, as in its `Holding.values`. Its order is the order of holders everywhere."""
    people: Mapping[str, int]
    """Holder -> number of rows of its `Holding`."""
    spu: str
    """Protocol of the SPU: `ABY3` or `CHEETAH`."""
    ranks: tuple[str, ...]
    """The SPU's parties, in rank order."""
    coordinator: str = ""
    """For the protocol of that name."""
    leader: str = ""
    """For that protocol: the holder whose secret pseudonyms follow from; empty: the first."""
    hide_count: str = ROUNDED
    """One of `HIDE_COUNT`."""
    minimum: int = 0
    """Fewer common people than this end the run, and all learn that."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What only one protocol understands: ``epsilon``, or at the coordinator the key of its choice who is first."""

    @property
    def holders(self) -> tuple[str, ...]:
        return tuple(self.columns)


@dataclass(frozen=True)
class Shared:
    """The joined rows as shares, in an order that nobody can relate to anybody's rows."""

    parts: Mapping[str, At]
    """Per party of the SPU a list of consecutive blocks, each uint64 of shape (rows, columns, k). With `ABY3`, k = 2:
    ``[..., 0]`` is x_rank and ``[..., 1]`` is x_(rank + 1 mod 3), where x = x_0 + x_1 + x_2 mod 2^64; with `CHEETAH`,
    k = 1 and x = x_0 + x_1."""
    columns: tuple[Column, ...]
    rows: int
    """Public; padding included."""
    matched: int | None
    """How many people are common, where that is public."""
    certain: int = 0
    """The first so many rows are people in common; of each of the others nobody (but a coordinator) knows."""


Note = Callable[..., None]
"""``note(party, protection, **parameters)``, called at ``party`` when a protection fired there."""

Align = Callable[[Parties, Mapping[str, At], AlignmentPlan, Note], Shared]

PROTOCOLS: Mapping[str, str] = {
    "coordinator": "veilflow.components.alignment.anonymous.coordinator.protocol:align",
    "spu_compare": "veilflow.components.alignment.anonymous.spu_compare.protocol:align",
    "two_party": "veilflow.components.alignment.anonymous.two_party.protocol:align",
}
"""Name -> where its `Align` function is."""


def protocol(name: str) -> Align:
    """The protocol called ``name``; loaded when asked for."""
    module, _, function = PROTOCOLS[name].partition(":")
    found: Align = getattr(import_module(module), function)
    return found
