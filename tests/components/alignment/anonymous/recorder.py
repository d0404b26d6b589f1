"""All parties in one process, with a record of everything each of them receives. Placement is checked: a function sees
only values of the party it runs at."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from veilflow.components.alignment.anonymous.interface import (
    ABY3,
    AlignmentPlan,
    Column,
    Holding,
)
from veilflow.components.alignment.anonymous.packed_ids import pack


@dataclass(frozen=True)
class Local:
    party: str
    value: Any


@dataclass
class Recorder:
    """`interface.Parties` in one process."""

    views: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    labels: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Of the messages in `views`."""
    published: list[Any] = field(default_factory=list)
    notes: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    local: dict[str, list[tuple[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    """Per party the results of all it computed: its own randomness and intermediate values belong to its view."""

    def run(self, party, fn, *args, returns=1):
        opened = [self._here(party, arg) for arg in args]
        found = fn(*opened)
        self.local[party].append((fn.__name__, found))
        if returns == 1:
            return Local(party, found)
        assert len(found) == returns
        return [Local(party, each) for each in found]

    def send(self, party, value, what="sent"):
        assert isinstance(value, Local)
        if value.party != party:
            self.views[party].append((value.party, value.value))
            self.labels[party].append(what)
        return Local(party, value.value)

    def publish(self, values):
        found = self._open(values)
        self.published.append(found)
        return found

    def note(self, party, protection, **parameters):
        self.notes.append((party, protection, parameters))

    def _here(self, party, arg):
        if isinstance(arg, Local):
            assert arg.party == party, f"a function at {party} was given a value of {arg.party}"
            return arg.value
        return arg

    def _open(self, values):
        if isinstance(values, Local):
            return values.value
        if isinstance(values, dict):
            return {key: self._open(value) for key, value in values.items()}
        if isinstance(values, (list, tuple)):
            return [self._open(value) for value in values]
        return values


def holding(ids, values):
    """A `Holding` of text IDs and a matrix of integers (ring elements)."""
    import pyarrow as pa

    packed = pack(pa.array(list(ids), pa.large_string()))
    return Holding(packed, np.asarray(values, np.int64).view(np.uint64))


def plan_of(holdings, ranks=("a", "b", "c"), coordinator="c", spu=ABY3, **others):
    columns = {
        party: tuple(Column(f"{party}{i}", party) for i in range(held.values.shape[1]))
        for party, held in holdings.items()
    }
    people = {party: len(held.ids) for party, held in holdings.items()}
    others = {"hide_count": "no", **others}
    return AlignmentPlan(columns, people, spu, tuple(ranks), coordinator, **others)


def at_holders(holdings):
    return {party: Local(party, held) for party, held in holdings.items()}


def shares(shared):
    """Per party its whole array of shares."""
    return {party: np.concatenate(part.value) for party, part in shared.parts.items()}


def opened(shared, ranks):
    """The table behind the shares, and a check that replicated shares agree."""
    parts = shares(shared)
    if next(iter(parts.values())).shape[-1] == 2:
        for rank, party in enumerate(ranks):
            following = ranks[(rank + 1) % 3]
            np.testing.assert_array_equal(parts[party][..., 1], parts[following][..., 0])
    total = np.zeros_like(parts[ranks[0]][..., 0])
    for party in ranks:
        total = total + parts[party][..., 0]
    return total.view(np.int64)
