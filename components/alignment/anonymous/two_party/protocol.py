"""Anonymous alignment of two holders, without anybody else.

Computes     additive shares mod 2^64, for a two-party SPU (CHEETAH), of the joined rows of the people that both holders
             have, in a random order; with the count hidden, of some rows of zeros more, and a secret mask that tells.
Adversary    semi-honest, static: one of the two holders.
Reveals      to both: the number of rows of the result. With the count hidden that is the number of common people plus
             noise of the other holder (discrete Laplace, conditioned on a bound): (epsilon, 2^-40)-differentially
             private for the presence of one person. Without, the number itself. What each one sees besides:
             first holder   the other's list and its own, the latter in an order of the other, as blinded points; which
                            positions of these two lists match; in switching, masked values and messages of transfers;
             second holder  the first's list as blinded points, and which positions of it match; the same in switching.
             Both lists are in an order that their owner drew, so a position stands for nobody. Nobody learns which of
             its own rows matched.
Not covered  active parties (one may put in a point of its choice, or rows that are not its own); a count over repeated
             runs: that the same inputs get the same noise, and how many others there may be, is the run ledger's;
             sizes of both sets, which are public.
Assumes      decisional Diffie-Hellman on Curve25519, random oracle (`curve`); oblivious transfer (`transfer`).
             128-bit security. Two people are confused with a chance of n^2 / 2^252.
Cost         per row and holder 1 hash to the curve and 2 multiplications (about 0.3 ms), and in switching about
             2 log2(N) - 1 switches per two rows (`switching`); about 3 kB per row of 10 columns in all.
Reference    Matching: the PS3I protocol of Buddhavarapu, Knox, Mohassel, Sengupta, Taubeneck and Vlaskin, "Private
             matching for compute", eprint 2020/599. There features travel under Paillier encryption: with 3072 bits
             that was 9 ms per row here, 4.6 ms per holder. Oblivious switching has the same functionality, semi-honest
             security and no homomorphic encryption, and takes 0.04 ms.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np

from veilflow.components.alignment.anonymous import integer_noise
from veilflow.components.alignment.anonymous.interface import (
    CHEETAH,
    MASK,
    NOT_HIDDEN,
    AlignmentPlan,
    At,
    Holding,
    Note,
    Parties,
    Shared,
)
from veilflow.components.alignment.anonymous.two_party import matching, network, switching, transfer
from veilflow.components.errors import ComponentError

EPSILON = 0.5
"""Of the hidden count, where the plan's ``settings`` have no ``epsilon``."""
DELTA = 2.0**-40


def align(parties: Parties, holdings: Mapping[str, At], plan: AlignmentPlan, note: Note) -> Shared:
    """Run the protocol; see the module and `interface`.

    Raises:
        ComponentError: not two holders with a CHEETAH SPU of their own; too few common people; at both.
    """
    require_possible(plan)
    first, second = plan.holders
    padding = padding_of(plan)
    lists, chosen, rows = _match(parties, holdings, plan, padding, note)
    shift = 2 * padding.half  # what the two holders' noise amounts to on average
    if max(0, rows - shift) < plan.minimum or rows == 0:
        about = "about " if shift else ""
        raise ComponentError(
            f"{first} and {second} have {about}{max(0, rows - shift)} people in common; at least "
            f"{max(1, plan.minimum)} are wanted."
        )
    pieces = _switch(parties, lists, chosen, plan, padding, rows)
    columns = (*plan.columns[first], *plan.columns[second], *((MASK,) if padding.half else ()))
    parts = {party: parties.run(party, _join, *pieces[party], bool(padding.half)) for party in plan.holders}
    return Shared(parts, columns, rows, None if padding.half else rows)


def require_possible(plan: AlignmentPlan) -> None:
    """Refuse what this protocol cannot do.

    Raises:
        ComponentError: other than two holders, or an SPU that is not theirs alone.
    """
    if len(plan.holders) != 2:
        raise ComponentError(f"two_party aligns two holders; there are {len(plan.holders)}. Use protocol coordinator.")
    if plan.spu != CHEETAH or set(plan.ranks) != set(plan.holders):
        raise ComponentError(
            f"two_party gives shares to {' and '.join(plan.holders)} alone, for a CHEETAH SPU of these two; the SPU is "
            f"{plan.spu} over {', '.join(plan.ranks)}. Choose such a device, or another protocol."
        )


def padding_of(plan: AlignmentPlan) -> matching.Padding:
    """How the count is hidden under this plan."""
    epsilon = integer_noise.exact(float(plan.settings.get("epsilon", EPSILON)))
    if plan.hide_count == NOT_HIDDEN:
        return matching.Padding(epsilon, 0)
    return matching.Padding(epsilon, integer_noise.bound_for(epsilon, DELTA))


def _match(
    parties: Parties, holdings: Mapping[str, At], plan: AlignmentPlan, padding: matching.Padding, note: Note
) -> tuple[dict[str, At], dict[str, At], int]:
    """Per holder its list; per holder the positions in the *other's* list that matched, in common order; how many."""
    first, second = plan.holders

    def listed(party: str, holding: Holding, salt: bytes) -> matching.Listed:
        found = matching.make_list(holding, salt, padding, party == first)
        note(party, "shuffle", rows=len(found.points))
        if padding.half:
            keyed = holding.noise is not None
            note(party, "count_noise", epsilon=float(padding.epsilon), points=padding.points, keyed=keyed)
        return found

    salt = parties.run(first, matching.new_salt)
    salts = {first: salt, second: parties.send(second, salt, "salt")}
    lists = {party: parties.run(party, listed, party, holdings[party], salts[party]) for party in plan.holders}
    blinded = {party: parties.run(party, matching.blinded, lists[party]) for party in plan.holders}
    at_second = parties.send(second, blinded[first], "blinded")
    at_first = parties.send(first, blinded[second], "blinded")
    doubled, order = parties.run(second, matching.blind_again, lists[second], at_second, returns=2)
    both = parties.run(first, matching.blind_too, lists[first], at_first)  # while the second holder does the same
    shuffled = parties.send(first, doubled, "blinded_twice")
    own, theirs = parties.run(first, matching.find_common, shuffled, both, returns=2)
    in_first = parties.run(second, np.take, order, parties.send(second, own, "positions"))
    rows: int = parties.publish(parties.run(first, len, theirs))
    return lists, {first: theirs, second: in_first}, rows


def _switch(
    parties: Parties,
    lists: Mapping[str, At],
    chosen: Mapping[str, At],
    plan: AlignmentPlan,
    padding: matching.Padding,
    rows: int,
) -> dict[str, list[At]]:
    """Per holder its shares of the first holder's columns and of the second's: both directions, layer by layer."""
    first, second = plan.holders
    ways = [_Way(parties, owner, chooser) for owner, chooser in ((first, second), (second, first))]
    sizes = {party: plan.people[party] + padding.points for party in plan.holders}
    widths = {first: len(plan.columns[first]) + bool(padding.half), second: len(plan.columns[second])}
    busy = [way for way in ways if widths[way.owner]]  # a holder without columns has nothing to switch
    for way in busy:
        way.start(lists[way.owner], chosen[way.chooser], sizes[way.owner])
    for number in range(max((len(way.strides) for way in busy), default=0)):
        for way in busy:
            if number < len(way.strides):
                way.layer(number)
    shares = [way.shares(rows) for way in ways]
    return {party: [share[party] for share in shares] for party in plan.holders}


class _Way:
    """One direction of switching, placed at its two parties."""

    def __init__(self, parties: Parties, owner: str, chooser: str) -> None:
        self.owner, self.chooser = owner, chooser
        self.strides: list[int] = []
        self._parties = parties
        self._at_owner: At = None
        self._at_chooser: At = None

    def start(self, listed: At, chosen: At, rows: int) -> None:
        run, send = self._parties.run, self._parties.send
        self.strides = network.strides(switching.levels(rows))
        owner, points, session = run(self.owner, _start_base, returns=3)
        chooser, point = run(self.chooser, _answer_base, send(self.chooser, points, "transfer_points"), returns=2)
        self._at_owner, masked = run(
            self.owner, _start_owner, owner, session, send(self.owner, point, "transfer_answer"), listed, returns=2
        )
        self._at_chooser = run(
            self.chooser,
            _start_chooser,
            chooser,
            send(self.chooser, session, "transfer_session"),
            chosen,
            send(self.chooser, masked, "masked_rows"),
            rows,
        )

    def layer(self, number: int) -> None:
        run, send, stride = self._parties.run, self._parties.send, self.strides[number]
        self._at_chooser, message = run(self.chooser, _choose, self._at_chooser, number, returns=2)
        message = send(self.owner, message, "choices")
        self._at_owner, found = run(self.owner, _owner_layer, self._at_owner, number, stride, message, returns=2)
        found = send(self.chooser, found, "corrections")
        self._at_chooser = run(self.chooser, _chooser_layer, self._at_chooser, number, stride, found)

    def shares(self, rows: int) -> dict[str, At]:
        run = self._parties.run
        if not self.strides:
            return {party: run(party, np.zeros, (rows, 0), np.uint64) for party in (self.owner, self.chooser)}
        return {
            self.owner: run(self.owner, _share, self._at_owner, rows),
            self.chooser: run(self.chooser, _share, self._at_chooser, rows),
        }


def _start_base() -> tuple[transfer.Owner, np.ndarray, bytes]:
    owner = transfer.Owner()
    return owner, owner.start(), secrets.token_bytes(16)


def _answer_base(points: np.ndarray) -> tuple[transfer.Chooser, bytes]:
    chooser = transfer.Chooser()
    return chooser, chooser.answer(points)


def _start_owner(
    transfers: transfer.Owner, session: bytes, point: bytes, listed: matching.Listed
) -> tuple[switching.OwnerSide, np.ndarray]:
    transfers.finish_base(point)
    return switching.OwnerSide.start(transfers, session, listed.values)


def _start_chooser(
    transfers: transfer.Chooser, session: bytes, chosen: np.ndarray, masked: np.ndarray, rows: int
) -> switching.ChooserSide:
    state = switching.ChooserSide.start(transfers, session, rows, chosen)
    state.values = np.array(masked)
    return state


def _choose(state: switching.ChooserSide, number: int) -> tuple[switching.ChooserSide, np.ndarray]:
    return state, state.choose(number)


def _owner_layer(
    state: switching.OwnerSide, number: int, stride: int, message: np.ndarray
) -> tuple[switching.OwnerSide, np.ndarray]:
    return state, state.layer(number, stride, message)


def _chooser_layer(state: switching.ChooserSide, number: int, stride: int, found: np.ndarray) -> switching.ChooserSide:
    state.layer(number, stride, found)
    return state


def _share(state: Any, rows: int) -> np.ndarray:
    share: np.ndarray = state.share(rows)
    return share


def _join(first: np.ndarray, second: np.ndarray, masked: bool) -> list[np.ndarray]:
    """The first holder's columns, the second's, and the mask, which came as the first's last column."""
    pieces = [first[:, :-1], second, first[:, -1:]] if masked else [first, second]
    return [np.concatenate(pieces, axis=1)[..., None]]
