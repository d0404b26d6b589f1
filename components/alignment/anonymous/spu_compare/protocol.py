"""Anonymous alignment by comparison inside the SPU: nobody learns how many people are common, let alone who.

Computes     shares (ABY3) of a table with one row per person of the smaller set, in a random order: both holders'
             columns where the other holder has that person, too, zeros elsewhere, and a secret mask that tells one from
             the other.
Adversary    semi-honest, static: one of the three parties, as ABY3.
Reveals      nothing but both set sizes, which are public. In detail, beside messages of ABY3 and public keys:
             teller (larger set)   nothing;
             helper (no table)     the teller's table under a mask it lacks, and five slots per asked person, which are
                                   pseudo-random without the holders' key: sizes only;
             asker (smaller set)   masked halves.
             With ``minimum`` in the plan all learn one bit: whether that many are common.
Not covered  active parties; two parties that work together (any two know everything, as in ABY3); the sizes.
Assumes      ABY3's honest majority; X25519, HKDF (`key_agreement`); AES-256 as a PRF (tags, slots, streams).
Errors       a person that the teller lacks counts as common with a chance of 2^-64, so n 2^-64 in all. The teller's
             table cannot be filled with a chance of at most 2^-40 (`sparse_table`); then all stop, and learn that.
Cost         table: 1.5 n (1 + teller's columns) numbers to the helper. Per row of the result: 20 bytes of slots, 16
             bytes per column of the teller and 8 per column of the asker between asker and helper, one 64-bit equality
             in the SPU, and one number per column and party for the product.
Reference    The algorithm of the paper this project implements: IDs hashed, split into additive shares, compared in
             batches inside the SPU. Its bins (a cuckoo table against simple hashing, Pinkas et al. 2018) need about 12
             comparisons per row of a table padded by 27 %; here the hash table is encoded so that one is enough
             (`sparse_table`). That the third party may hold a masked table and be asked at pseudo-random places is the
             idea of Mohassel, Rindal and Rosulek, "Fast database joins and PSI for secret shared data", CCS 2020.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from veilflow.components.alignment.anonymous import key_agreement as keys
from veilflow.components.alignment.anonymous.interface import (
    ABY3,
    MASK,
    AlignmentPlan,
    At,
    Holding,
    Note,
    Parties,
    Shared,
)
from veilflow.components.alignment.anonymous.ring import FRACTION_BITS
from veilflow.components.alignment.anonymous.spu_compare import replicated, sparse_table, steps
from veilflow.components.errors import ComponentError

BLOCK_WORDS = 1 << 22
"""Ring elements of one message."""
BATCH = 1 << 18
"""Comparisons at a time."""
WINDOW = 4
"""Blocks on their way before the parties wait for each other."""
_ONE = np.uint64(1 << FRACTION_BITS)


class ComparingParties(Parties, Protocol):
    """`Parties` with an SPU. Shares are in its layout (`replicated.as_parts`), per party of the SPU."""

    def is_zero(self, parts: Mapping[str, At]) -> Mapping[str, At]:
        """uint64, shape (n, 2), of n numbers -> uint8, shape (n, 2), of bits that XOR to 1 where the number is 0."""

    def at_least(self, parts: Mapping[str, At], threshold: int) -> bool:
        """Whether one number (uint64, shape (2,)) reaches a threshold; opened to all."""


def align(parties: ComparingParties, holdings: Mapping[str, At], plan: AlignmentPlan, note: Note) -> Shared:
    """Run the protocol; see the module and `interface`.

    Raises:
        ComponentError: other than two holders and a third party in an ABY3 SPU; too few common people; at all parties.
    """
    run = Comparison(parties, plan, note)
    run.look_up(holdings)
    blocks: dict[str, list[At]] = {party: [] for party in plan.ranks}
    counts: dict[str, list[At]] = {party: [] for party in plan.ranks}
    for number, (start, stop) in enumerate(run.blocks()):
        rows, member = run.block(number, start, stop)
        for party in plan.ranks:
            blocks[party].append(rows[party])
            counts[party].append(member[party])
        if number % WINDOW == WINDOW - 1:
            run.wait(rows)
    if plan.minimum > 0:
        run.require(counts, plan.minimum)
    columns = [column for holder in plan.holders for column in plan.columns[holder]]
    parts = {party: parties.run(party, _listed, *found) for party, found in blocks.items()}
    return Shared(parts, (*columns, MASK), run.rows, None)


def require_possible(plan: AlignmentPlan) -> tuple[str, str, str]:
    """Asker, teller and helper.

    Raises:
        ComponentError: the plan's parties do not fit.
    """
    third = [party for party in plan.ranks if party not in plan.holders]
    if len(plan.holders) != 2 or plan.spu != ABY3 or len(plan.ranks) != 3 or len(third) != 1:
        raise ComponentError(
            f"spu_compare needs two holders and one party without a table in one ABY3 SPU; here {len(plan.holders)} "
            f"hold tables and the SPU is {plan.spu} over {', '.join(plan.ranks)}. Choose another device or protocol."
        )
    asker, teller = sorted(plan.holders, key=lambda holder: (plan.people[holder], plan.holders.index(holder)))
    return asker, teller, third[0]


class Comparison:
    """One run; what each party keeps from step to step."""

    def __init__(self, parties: ComparingParties, plan: AlignmentPlan, note: Note) -> None:
        self.asker, self.teller, self.helper = require_possible(plan)
        self.rows = plan.people[self.asker]
        self.parties, self.plan, self._note = parties, plan, note
        self._width = 1 + len(plan.columns[self.teller])
        self._own = len(plan.columns[self.asker])
        self.everybody = (self.asker, self.teller, self.helper)
        self.rings = self._exchange_keys()
        self._asked: At = None
        self._found: At = None

    def _exchange_keys(self) -> dict[str, At]:
        run, note = self.parties.run, self._note
        own = {party: run(party, keys.new_exchange, returns=2) for party in self.everybody}
        publics: dict[str, str] = self.parties.publish({party: pair[1] for party, pair in own.items()})

        def agree(party: str, private: bytes) -> keys.Keyring:
            ring = keys.agree(party, private, publics)
            note(party, "key_agreement", curve="X25519", peers=len(ring.pairs))
            return ring

        return {party: run(party, agree, party, own[party][0]) for party in self.everybody}

    def look_up(self, holdings: Mapping[str, At]) -> None:
        """The table to the helper, the questions to the helper, and the halves of the answers."""
        run, send, note = self.parties.run, self.parties.send, self._note
        asker, teller, helper = self.everybody
        size = sparse_table.part_size(self.plan.people[teller])

        def ask(holding: Holding, ring: keys.Keyring) -> tuple[steps.Asked, np.ndarray]:
            asked = steps.ask(holding, ring, teller, size, self._width)
            note(asker, "shuffle", rows=len(asked.slots))
            return asked, asked.slots

        def fill(holding: Holding, ring: keys.Keyring) -> list[np.ndarray]:
            table = steps.masked_table(holding, ring, asker)
            note(teller, "table_mask", slots=size * sparse_table.PARTS, columns=self._width)
            return table

        table = run(teller, fill, holdings[teller], self.rings[teller], returns=sparse_table.PARTS)
        self._asked, slots = run(asker, ask, holdings[asker], self.rings[asker], returns=2)
        questions = send(helper, slots, "slots")
        for number, part in enumerate(table):
            self._found = run(helper, steps.answer, self._found, send(helper, part, "masked_table"), questions, number)

    def blocks(self) -> Iterator[tuple[int, int]]:
        """(start, stop) of consecutive blocks of rows."""
        size = min(BATCH, max(1, BLOCK_WORDS // (self._width + self._own)))
        for start in range(0, max(1, self.rows), size):
            yield start, min(self.rows, start + size)

    def block(self, number: int, start: int, stop: int) -> tuple[dict[str, At], dict[str, At]]:
        """Shares of a block's rows, and of how many of them are common: per party of the SPU."""
        shares, member = self._compared(number, start, stop)
        rows = self._multiply(number, stop - start, member, shares)
        order = self._column_order()
        run, ranks = self.parties.run, self.plan.ranks
        merged = {
            party: run(party, _merged, member[party], rows[party], order, ranks, party) for party in self.everybody
        }
        return merged, self._counted(member)

    def count(self) -> dict[str, At]:
        """Shares of how many people are common, uint64, shape (2,), and nothing about rows: per party of the SPU."""
        found: dict[str, list[At]] = {party: [] for party in self.everybody}
        for number, (start, stop) in enumerate(self.blocks()):
            for party, block in self._counted(self._compared(number, start, stop)[1]).items():
                found[party].append(block)
        return {party: self.parties.run(party, total_of, *blocks) for party, blocks in found.items()}

    def _counted(self, member: Mapping[str, At]) -> dict[str, At]:
        run, ranks = self.parties.run, self.plan.ranks
        return {party: run(party, _count, member[party], ranks, party) for party in self.everybody}

    def _compared(self, number: int, start: int, stop: int) -> tuple[dict[str, At], dict[str, At]]:
        """Shares of a block's columns, and of 0 or 1 per row."""
        run, ranks, shares = self.parties.run, self.plan.ranks, self._reshare(number, start, stop)
        tags = {party: run(party, _tags, shares[party], ranks, party) for party in self.everybody}
        return shares, self._as_numbers(number, stop - start, self.parties.is_zero(tags))

    def _reshare(self, number: int, start: int, stop: int) -> dict[str, At]:
        """Shares of the comparison's number, the teller's columns and the asker's columns, side by side."""
        run, send = self.parties.run, self.parties.send
        asker, teller, helper = self.everybody
        width, own, rows = self._width, self._own, stop - start

        def at_asker(ring: keys.Keyring, asked: steps.Asked) -> tuple[np.ndarray, np.ndarray]:
            half = np.concatenate([asked.halves[start:stop], asked.values[start:stop]], axis=1)
            known = steps.stream(ring, teller, "rows", number, (rows, width + own))
            return replicated.concealed(half, known), known

        def at_helper(ring: keys.Keyring, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            known = steps.stream(ring, teller, "rows", number, (rows, width))
            return replicated.concealed(found[start:stop], known), known

        def join(own_half: np.ndarray, received: np.ndarray, known: np.ndarray, peer: str) -> dict[str, np.ndarray]:
            halves = [_widened(each, width + own) for each in (own_half, received, known)]
            return replicated.from_halves(halves[0], halves[1], halves[2], peer, teller)

        def at_teller(ring: keys.Keyring) -> dict[str, np.ndarray]:
            with_helper = steps.stream(ring, helper, "rows", number, (rows, width))
            with_asker = steps.stream(ring, asker, "rows", number, (rows, width + own))
            return {asker: with_asker, helper: _widened(with_helper, width + own)}

        one, kept = run(asker, at_asker, self.rings[asker], self._asked, returns=2)
        other, held = run(helper, at_helper, self.rings[helper], self._found, returns=2)
        return {
            asker: run(asker, join, one, send(asker, other, "masked_half"), kept, helper),
            helper: run(helper, join, other, send(helper, one, "masked_half"), held, asker),
            teller: run(teller, at_teller, self.rings[teller]),
        }

    def _as_numbers(self, number: int, rows: int, bits: Mapping[str, At]) -> dict[str, At]:
        """Shares of 0 or 1, shape (rows, 1), from the SPU's bits."""
        run, send, ranks = self.parties.run, self.parties.send, self.plan.ranks
        asker, teller, helper = self.everybody
        shape = (rows, 1)

        def at_teller(ring: keys.Keyring, parts: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
            y = replicated.bit_of_third(replicated.from_parts(parts, ranks, teller))[:, None]
            known = steps.stream(ring, asker, "bit", number, shape)
            return y - known, {asker: known, helper: y - known}

        def multiply(
            ring: keys.Keyring, parts: np.ndarray, summand: np.ndarray | None, me: str, peer: str
        ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
            x = replicated.bit_of_pair(replicated.from_parts(parts, ranks, me), peer)[:, None]
            y = steps.stream(ring, teller, "bit", number, shape) if summand is None else summand
            known = steps.stream(ring, teller, "bit product", number, shape)
            return replicated.concealed(x * y, known), known, x, y

        def finish(
            own: np.ndarray, received: np.ndarray, known: np.ndarray, x: np.ndarray, y: np.ndarray, peer: str
        ) -> dict[str, np.ndarray]:
            product = replicated.from_halves(own, received, known, peer, teller)
            return replicated.bit_as_number(x, y, product, peer, teller)

        def finish_teller(ring: keys.Keyring, summands: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            product = {peer: steps.stream(ring, peer, "bit product", number, shape) for peer in (asker, helper)}
            return replicated.bit_as_number_at_third(summands, product)

        message, summands = run(teller, at_teller, self.rings[teller], bits[teller], returns=2)
        pair = {
            party: run(party, multiply, self.rings[party], bits[party], summand, party, peer, returns=4)
            for party, peer, summand in ((asker, helper, None), (helper, asker, send(helper, message, "masked_bit")))
        }
        found = {
            party: run(party, finish, pair[party][0], send(party, pair[peer][0], "bit_product"), *pair[party][1:], peer)
            for party, peer in ((asker, helper), (helper, asker))
        }
        return {**found, teller: run(teller, finish_teller, self.rings[teller], summands)}

    def _multiply(self, number: int, rows: int, member: Mapping[str, At], shares: Mapping[str, At]) -> dict[str, At]:
        """Shares of all columns, zero in rows of people that are not common."""
        run, send, ranks = self.parties.run, self.parties.send, self.plan.ranks
        shape = (rows, self._width - 1 + self._own)

        def multiply(me: str, ring: keys.Keyring, left: replicated.Shares, right: replicated.Shares) -> np.ndarray:
            streams = {peer: steps.stream(ring, peer, "product", number, shape) for peer in right}
            values = {peer: component[:, 1:] for peer, component in right.items()}
            return replicated.product(left, values, ranks, me, streams)

        own = {
            party: run(party, multiply, party, self.rings[party], member[party], shares[party])
            for party in self.everybody
        }
        return {
            party: run(
                party,
                replicated.product_shares,
                own[party],
                send(party, own[replicated.follower(ranks, party)], "product"),
                ranks,
                party,
            )
            for party in self.everybody
        }

    def _column_order(self) -> tuple[int, ...]:
        """Where the plan's columns stand: the teller's come first."""
        theirs = tuple(range(self._width - 1))
        mine = tuple(range(self._width - 1, self._width - 1 + self._own))
        return mine + theirs if self.plan.holders[0] == self.asker else theirs + mine

    def require(self, counts: Mapping[str, list[At]], minimum: int) -> None:
        """Stop where fewer people are common; all learn that one bit.

        Raises:
            ComponentError: they are fewer; at all parties.
        """
        total = {party: self.parties.run(party, total_of, *found) for party, found in counts.items()}
        if not self.parties.at_least(total, minimum):
            raise ComponentError(
                f"{' and '.join(self.plan.holders)} have fewer than {minimum} people in common. Nothing was stored."
            )

    def wait(self, values: Mapping[str, At]) -> None:
        """Until each party has its value."""
        self.parties.publish([self.parties.run(party, _done, value) for party, value in values.items()])


def total_of(*counts: np.ndarray) -> np.ndarray:
    """The sum of shares of counts."""
    return np.asarray(np.sum(np.stack(counts), axis=0, dtype=np.uint64))


def _widened(columns: np.ndarray, width: int) -> np.ndarray:
    """With columns of zeros behind."""
    wide: np.ndarray = np.pad(columns, ((0, 0), (0, width - columns.shape[1])))
    return wide


def _tags(shares: replicated.Shares, ranks: tuple[str, ...], me: str) -> np.ndarray:
    return replicated.as_parts({peer: component[:, 0] for peer, component in shares.items()}, ranks, me)


def _merged(
    member: replicated.Shares,
    rows: replicated.Shares,
    columns: tuple[int, ...],
    ranks: tuple[str, ...],
    me: str,
) -> np.ndarray:
    """One party's shares in the SPU's layout: columns in the plan's order, then the mask."""
    count, width = len(next(iter(rows.values()))), len(columns)
    out = np.empty((count, width + 1, 2), np.uint64)
    after = replicated.follower(ranks, me)
    for place, peer in ((0, replicated.follower(ranks, after)), (1, after)):
        for at, column in enumerate(columns):
            out[:, at, place] = rows[peer][:, column]
        out[:, width, place] = member[peer][:, 0] * _ONE
    return out


def _count(member: replicated.Shares, ranks: tuple[str, ...], me: str) -> np.ndarray:
    """This party's shares of how many are common: uint64, shape (2,)."""
    parts = replicated.as_parts(member, ranks, me)
    return np.asarray(parts.sum(axis=(0, 1), dtype=np.uint64))


def _done(value: Any) -> bool:
    del value
    return True


def _listed(*blocks: np.ndarray) -> list[np.ndarray]:
    return list(blocks)
