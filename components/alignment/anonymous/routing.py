"""Who holds which half of an owner's rows on their way to the SPU.

Every owner's rows are split into two halves. The *helper*, a party of the SPU, keeps the masked rows; the coordinator
keeps the mask, as a key. After both have picked the matched rows, the coordinator's half goes on as the *carrier*'s:
the coordinator itself where it is a party of the SPU, or another party that gets that half masked anew.

With three parties (ABY3) the remaining one, the *third*, only expands keys: it never gets a message about these rows.
Wherever the owner is a party of the SPU it is the third, so nothing that depends on the match ever reaches it. With two
parties (CHEETAH) the owner is the carrier, and the new mask is what keeps it from seeing its own rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from veilflow.components.alignment.anonymous.interface import ABY3
from veilflow.components.errors import ComponentError


@dataclass(frozen=True)
class Route:
    """The way of one owner's rows."""

    owner: str
    helper: str
    carrier: str
    third: str | None
    """None with two parties."""


def route(owner: str, coordinator: str, holders: Sequence[str], ranks: Sequence[str]) -> Route:
    """The way of ``owner``'s rows.

    Args:
        owner: the holder; or empty for what the coordinator itself puts in (a mask).
        ranks: the SPU's parties, in rank order.

    Guarantees: the helper is neither owner nor coordinator; an owner is carrier only where there are two parties.
    """
    start = (holders.index(owner) + 1) if owner else 0
    # The next holder first, so that the work is spread evenly over the holders.
    candidates = [*holders[start:], *holders[:start], *ranks]
    helper = next(name for name in candidates if name in ranks and name not in (owner, coordinator))
    others = [name for name in ranks if name != helper]
    if len(others) == 1:
        return Route(owner, helper, others[0], None)
    carrier = coordinator if coordinator in others else next(name for name in others if name != owner)
    return Route(owner, helper, carrier, next(name for name in others if name != carrier))


def require_possible(protocol: str, coordinator: str, holders: Sequence[str], ranks: Sequence[str]) -> None:
    """Refuse parties with which the protocol would not be safe, or cannot work.

    Raises:
        ComponentError: fewer than two holders; the coordinator holds a table; CHEETAH with the coordinator inside.
    """
    if len(holders) < 2:
        raise ComponentError(f"an alignment needs the tables of two parties or more; there is {len(holders)}.")
    if coordinator in holders:
        raise ComponentError(
            f"{coordinator} holds a table and cannot be the coordinator: who joins the pseudonyms must not have IDs."
        )
    if protocol != ABY3 and coordinator in ranks:
        raise ComponentError(
            f"with a two-party SPU over {' and '.join(ranks)}, {coordinator} cannot be the coordinator: "
            f"it knows one half of every row and would know both."
        )
