"""The flow of messages: which party runs which function when. The claim it must keep stands in the package's docstring.

Everything is streamed in blocks of some 4 MB, and every few blocks the parties wait for each other, so that what is on
its way stays small whatever the number of rows. Memory of this size is reused from block to block: with blocks of 32 MB
every array came fresh from the kernel, and the whole took twice the processor time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from veilflow.components.alignment.anonymous import key_agreement as keys
from veilflow.components.alignment.anonymous import prg
from veilflow.components.alignment.anonymous.coordinator import coordinator, halves, holder
from veilflow.components.alignment.anonymous.interface import (
    MASK,
    NOT_HIDDEN,
    SHARES,
    AlignmentPlan,
    At,
    Holding,
    Note,
    Parties,
    Shared,
)
from veilflow.components.alignment.anonymous.resharing import Component, merge, place
from veilflow.components.alignment.anonymous.routing import Route, require_possible, route

BLOCK_WORDS = 1 << 19
"""Ring elements of one message of masked rows or halves, at most; columns of all holders together must be fewer."""
WINDOW = 24
"""Blocks on their way before the parties wait for each other."""

GROUP_KEY, PSEUDONYMS, MASKED_ROWS, POSITIONS, MASKED_HALF = (
    "group_key",
    "pseudonyms",
    "masked_rows",
    "positions",
    "masked_half",
)
"""Labels of what is sent, for the claims."""

_ROWS, _MEMBER, _CARRY, _COMPONENT = "rows", "member", "carry", "component"
"""Uses of a pair's secret: one key per use and owner."""


@dataclass(frozen=True)
class _Group:
    """Columns that travel together: an owner's, or the mask."""

    way: Route
    first: int
    """Position of its first column in the result."""
    width: int
    half: At
    """At the helper: its half of all rows; None for the mask."""


def align(parties: Parties, holdings: Mapping[str, At], plan: AlignmentPlan, note: Note) -> Shared:
    """Run the protocol; see `interface`.

    Raises:
        ComponentError: at every party, where parties cannot be as the plan has them, or too few people are common.
    """
    require_possible(plan.spu, plan.coordinator, plan.holders, plan.ranks)
    run = _Run(parties, plan, note)
    run.exchange_keys()
    orders = run.send_pseudonyms(holdings)
    masked = run.send_masked_rows(holdings, orders)
    rows, matched = run.count()
    groups = run.groups(masked)
    blocks: dict[str, list[At]] = {party: [] for party in plan.ranks}
    for number, (start, stop) in enumerate(_blocks(rows, sum(group.width for group in groups))):
        for party, block in run.reshare(groups, start, stop, rows).items():
            blocks[party].append(block)
        if number % WINDOW == WINDOW - 1:
            run.wait([(party, found[-1]) for party, found in blocks.items()])
    columns = [column for holder in plan.holders for column in plan.columns[holder]]
    if plan.hide_count != NOT_HIDDEN:
        columns.append(MASK)
    parts = {party: parties.run(party, _listed, *found) for party, found in blocks.items()}
    certain = coordinator.certain(rows, min(plan.people.values()), plan.hide_count, plan.minimum)
    return Shared(parts, tuple(columns), rows, matched, certain)


@dataclass(frozen=True)
class _Piece:
    """What a party puts at one place of a group's columns: a stream it has in common with ``peer``, or a sum."""

    group: _Group
    place: int
    peer: str = ""
    arrays: tuple[At, ...] = ()


class _Run:
    """One run: what each party keeps from step to step."""

    def __init__(self, parties: Parties, plan: AlignmentPlan, note: Note) -> None:
        self._parties, self._plan, self._note = parties, plan, note
        self._rings: dict[str, At] = {}
        self._matches: At = None
        self._routes = {
            owner: route(owner, plan.coordinator, plan.holders, plan.ranks) for owner in (*plan.holders, MASK.owner)
        }

    def exchange_keys(self) -> None:
        plan, run, note = self._plan, self._parties.run, self._note
        everybody = tuple(dict.fromkeys((*plan.holders, plan.coordinator, *plan.ranks)))
        own = {party: run(party, keys.new_exchange, returns=2) for party in everybody}
        publics: dict[str, str] = self._parties.publish({party: pair[1] for party, pair in own.items()})

        def agree(party: str, private: bytes) -> keys.Keyring:
            ring = keys.agree(party, private, publics)
            note(party, "key_agreement", curve="X25519", peers=len(ring.pairs))
            return ring

        self._rings = {party: run(party, agree, party, own[party][0]) for party in everybody}

    def _group_keys(self, holdings: Mapping[str, At]) -> dict[str, At]:
        members, leader = self._plan.holders, self._plan.leader or self._plan.holders[0]
        others = [member for member in members if member != leader]

        def wrap(ring: keys.Keyring, held: Holding) -> tuple[bytes, ...]:
            group, sealed = keys.wrap_group_key(ring, members, held.noise)
            return (group, *(sealed[member] for member in others))

        group, *sealed = self._parties.run(leader, wrap, self._rings[leader], holdings[leader], returns=1 + len(others))
        found = {leader: group}
        for member, message in zip(others, sealed, strict=True):
            here = self._parties.send(member, message, GROUP_KEY)
            found[member] = self._parties.run(member, keys.unwrap_group_key, self._rings[member], leader, here)
        return found

    def send_pseudonyms(self, holdings: Mapping[str, At]) -> dict[str, At]:
        """The holders' orders, each at its holder; the coordinator starts to join."""
        plan, note = self._plan, self._note

        def shuffle(party: str, holding: Holding, key: bytes) -> tuple[np.ndarray, np.ndarray]:
            assert holding.values.shape == (plan.people[party], len(plan.columns[party])), holding.values.shape
            found = holder.shuffled_pseudonyms(holding, key)
            note(party, "shuffle", rows=len(found[1]))
            return found

        group = self._group_keys(holdings)
        found = {
            party: self._parties.run(party, shuffle, party, holdings[party], group[party], returns=2)
            for party in plan.holders
        }
        lists = [self._parties.send(plan.coordinator, found[party][0], PSEUDONYMS) for party in plan.holders]

        def match(key: bytes | None, *pseudonyms: np.ndarray) -> coordinator.Matches:
            matches = coordinator.match(pseudonyms, plan.hide_count, plan.minimum, key)
            note(plan.coordinator, "shuffle", rows=len(matches.member))
            note(plan.coordinator, "minimum_overlap", minimum=plan.minimum)
            if plan.hide_count != NOT_HIDDEN:
                note(plan.coordinator, "count_padding", hide_count=plan.hide_count, rows=len(matches.member))
            return matches

        self._matches = self._parties.run(plan.coordinator, match, plan.settings.get("choice"), *lists)
        return {party: pair[1] for party, pair in found.items()}

    def send_masked_rows(self, holdings: Mapping[str, At], orders: Mapping[str, At]) -> dict[str, list[At]]:
        """Per owner the blocks of its list, at the helper; an owner without columns sends none."""
        plan = self._plan
        owners = [owner for owner in plan.holders if plan.columns[owner]]
        pending: dict[str, list[At]] = {owner: [] for owner in owners}
        cuts = {owner: list(_blocks(plan.people[owner], len(plan.columns[owner]))) for owner in owners}

        def mask(held: Holding, order: np.ndarray, ring: keys.Keyring, start: int, stop: int) -> np.ndarray:
            key = ring.key(plan.coordinator, _ROWS, ring.me)
            return holder.masked_rows(held.values, order, key, start, stop)

        for number in range(max(map(len, cuts.values()))):
            for owner in owners:
                if number < len(cuts[owner]):
                    here = (holdings[owner], orders[owner], self._rings[owner])
                    block = self._parties.run(owner, mask, *here, *cuts[owner][number])
                    pending[owner].append(self._parties.send(self._routes[owner].helper, block, MASKED_ROWS))
            if number % WINDOW == WINDOW - 1:
                self.wait([(self._routes[owner].helper, pending[owner][-1]) for owner in owners])
        return pending

    def count(self) -> tuple[int, int | None]:
        """Rows of the result, which is public, and the matches where they are."""
        at, hidden = self._plan.coordinator, self._plan.hide_count != NOT_HIDDEN
        rows: int = self._parties.publish(self._parties.run(at, lambda found: len(found.member), self._matches))
        return rows, None if hidden else rows

    def groups(self, masked: Mapping[str, Sequence[At]]) -> list[_Group]:
        """Owners in order, then the mask; the helpers pick the matched rows."""
        plan, found, first = self._plan, [], 0
        for number, owner in enumerate(plan.holders):
            way, width = self._routes[owner], len(plan.columns[owner])
            if not width:
                continue
            chosen = self._parties.run(plan.coordinator, lambda m, at=number: m.positions[at], self._matches)
            places = self._parties.send(way.helper, chosen, POSITIONS)
            half = self._parties.run(way.helper, halves.helper_half, places, *masked[owner])
            found.append(_Group(way, first, width, half))
            first += width
        if plan.hide_count != NOT_HIDDEN:
            found.append(_Group(self._routes[MASK.owner], first, 1, None))
        return found

    def reshare(self, groups: list[_Group], start: int, stop: int, rows: int) -> dict[str, At]:
        """Shares of rows ``start`` to ``stop``: per SPU party one block."""
        pieces: dict[str, list[_Piece]] = {party: [] for party in self._plan.ranks}
        for group in groups:
            at_helper, at_carrier = self._halves(group, start, stop, rows == stop)
            way = group.way
            if way.third is None:
                pieces[way.helper].append(_Piece(group, 0, arrays=(at_helper,)))
                pieces[way.carrier].append(_Piece(group, 0, arrays=(at_carrier,)))
            else:
                self._open(group, at_helper, at_carrier, (start, stop, rows == stop), pieces)
        columns = sum(group.width for group in groups)
        shape = (stop - start, columns, SHARES[self._plan.spu])
        return {party: self._merged(party, pieces[party], start, shape) for party in self._plan.ranks}

    def _halves(self, group: _Group, start: int, stop: int, last: bool) -> tuple[At, At]:
        """The helper's and the carrier's half of a block."""
        way, at, run, note = group.way, self._plan.coordinator, self._parties.run, self._note
        anew = way.carrier != at
        owner, number = way.owner, self._plan.holders.index(way.owner) if way.owner else -1

        def pick(ring: keys.Keyring, whole: np.ndarray | None) -> np.ndarray:
            member = ring.key(at, _MEMBER)
            half = prg.rows(member, start, stop - start, 1) if whole is None else whole[start:stop]
            return halves.restore(half, ring.key(at, _CARRY, owner), start) if anew else half

        def mask(ring: keys.Keyring, matches: coordinator.Matches) -> np.ndarray:
            if number < 0:
                half = halves.member_half(matches.member[start:stop], ring.key(way.helper, _MEMBER), start)
            else:
                key = ring.key(owner, _ROWS, owner)
                half = halves.coordinator_half(key, matches.positions[number][start:stop], group.width)
            if anew:
                half = halves.conceal(half, ring.key(way.helper, _CARRY, owner), start)
                if last:
                    note(at, "re_mask", rows=stop, columns=group.width, owner=owner or "mask")
            return half

        helper = run(way.helper, pick, self._rings[way.helper], group.half)
        carrier = run(at, mask, self._rings[at], self._matches)
        return helper, self._parties.send(way.carrier, carrier, MASKED_HALF) if anew else carrier

    def _open(
        self,
        group: _Group,
        at_helper: At,
        at_carrier: At,
        block: tuple[int, int, bool],
        pieces: dict[str, list[_Piece]],
    ) -> None:
        """Helper and carrier open what the third party's streams conceal; adds each party's pieces of the block."""
        way, ranks, run, note = group.way, self._plan.ranks, self._parties.run, self._note
        helper, carrier, third = way.helper, way.carrier, way.third
        start, stop, last = block
        assert third is not None

        def conceal(ring: keys.Keyring, half: np.ndarray) -> np.ndarray:
            found = halves.conceal(half, ring.key(third, _COMPONENT, way.owner), start)
            if last:
                note(ring.me, "re_mask", rows=stop, columns=group.width, owner=way.owner or "mask")
            return found

        mine = run(helper, conceal, self._rings[helper], at_helper)
        other = run(carrier, conceal, self._rings[carrier], at_carrier)
        theirs = self._parties.send(helper, other, MASKED_HALF), self._parties.send(carrier, mine, MASKED_HALF)
        for party, peer, opened in ((helper, carrier, (mine, theirs[0])), (carrier, helper, (other, theirs[1]))):
            pieces[party].append(_Piece(group, place(ranks, party, third), peer=third))
            pieces[party].append(_Piece(group, place(ranks, party, peer), arrays=opened))
            pieces[third].append(_Piece(group, place(ranks, third, party), peer=party))

    def _merged(self, party: str, pieces: list[_Piece], start: int, shape: tuple[int, int, int]) -> At:
        def build(ring: keys.Keyring, *arrays: np.ndarray) -> np.ndarray:
            parts = [
                Component(
                    each.group.first,
                    each.group.width,
                    each.place,
                    ring.key(each.peer, _COMPONENT, each.group.way.owner) if each.peer else None,
                    len(each.arrays),
                )
                for each in pieces
            ]
            return merge(parts, arrays, start, shape)

        return self._parties.run(party, build, self._rings[party], *(array for each in pieces for array in each.arrays))

    def wait(self, values: Sequence[tuple[str, At]]) -> None:
        """Until each value is there, at its party."""
        self._parties.publish([self._parties.run(party, _done, value) for party, value in values])


def _blocks(rows: int, width: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of consecutive blocks; one empty block where there are no rows."""
    size = max(1, BLOCK_WORDS // max(1, width))
    for start in range(0, max(1, rows), size):
        yield start, min(rows, start + size)


def _done(value: Any) -> bool:
    del value
    return True


def _listed(*blocks: np.ndarray) -> list[np.ndarray]:
    return list(blocks)
