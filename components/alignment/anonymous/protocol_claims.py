"""What `spu_compare`, `two_party` and the run ledger send, and the receipts they leave. Light: `plan` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veilflow.components.claims import ALL, PUBLISHED, Disclosure, Protection, Send

ANY_SIZE = 1 << 36
"""Bytes of one message whose rows are as many as a table's."""
STATEMENT = 1 << 16
"""Bytes of a holder's statement for its partners' ledgers."""


def ledger_sends(holders: tuple[str, ...]) -> list[Send]:
    """Of `devices.run_ledger`: one statement from each holder to each other."""
    return [Send("ledger_statement", holders, holders, "bytes", max_bytes=STATEMENT, times=1)]


def ledger_line(holders: tuple[str, ...]) -> Disclosure:
    """What the statements tell."""
    return Disclosure(
        holders,
        "in how many people, and in how many people's values, the other holder's inputs of different runs differ",
        holders,
        "from keyed sketches, for the run ledger; it knows partners by pinned keys, in a simulation by names",
        "row_count",
    )


def repeats(params: Mapping[str, Any]) -> str:
    """What further runs tell where a count has noise."""
    limit = params.get("ledger_epsilon")
    total = f"at most {limit} for all that one partner is ever told" if limit else "without a limit in all"
    return (
        f"the same people get the same noise again, other people cost as much again, {total}; "
        f"this rests on each holder stating the people it brings"
    )


def compare_sends(holders: tuple[str, ...], parties: tuple[str, ...]) -> list[Send]:
    """Of `spu_compare`; the SPU's own messages do not pass here."""
    third = tuple(party for party in parties if party not in holders) or (ALL,)

    def numbers(what: str, sender: tuple[str, ...], to: tuple[str, ...], width: int | None = None) -> Send:
        return Send(what, sender, to, "array", "uint64", (None, width), max_bytes=ANY_SIZE)

    return [
        PUBLISHED,
        numbers("masked_table", holders, third),
        Send("slots", holders, third, "array", "uint32", (None, 5), max_bytes=ANY_SIZE, times=1),
        numbers("masked_half", (ALL,), (ALL,)),
        numbers("masked_bit", holders, third, 1),
        numbers("bit_product", (ALL,), (ALL,), 1),
        numbers("product", (ALL,), (ALL,)),
        Send("opened", kind="bytes", max_bytes=1 << 12, times=1),  # one bit: whether enough people are common
    ]


def two_party_sends(holders: tuple[str, ...]) -> list[Send]:
    """Of `two_party`: everything between the two holders."""

    def array(what: str, dtype: str, *shape: int | None, times: int | None = None) -> Send:
        return Send(what, holders, holders, "array", dtype, shape, max_bytes=ANY_SIZE, times=times)

    def few(what: str, size: int) -> Send:
        return Send(what, holders, holders, "bytes", max_bytes=size, times=1)

    return [
        PUBLISHED,
        few("salt", 16),
        array("blinded", "uint8", None, 32, times=1),
        array("blinded_twice", "uint8", None, 32, times=1),
        array("positions", "int64", None, times=1),
        array("transfer_points", "uint8", 128, 2, 32, times=1),
        few("transfer_answer", 32),
        few("transfer_session", 16),
        array("masked_rows", "uint64", None, None, times=1),
        array("choices", "uint8", 128, None),
        array("corrections", "uint64", None, None),
    ]


def protections(protocol: str, holders: tuple[str, ...], hidden: bool) -> list[Protection]:
    """Receipts that the run must have; which holder shuffles in `spu_compare` depends on the sizes."""
    found = [Protection("run_ledger", holders)]
    if protocol == "spu_compare":
        found.append(Protection("key_agreement", holders, {"curve": "X25519"}))
    if protocol == "two_party":
        found.append(Protection("shuffle", holders))
        if hidden:
            found.append(Protection("count_noise", holders, {"keyed": True}))
    return found
