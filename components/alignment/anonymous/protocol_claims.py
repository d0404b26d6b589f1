"""What `spu_compare`, `two_party` and the run ledger send, and the receipts they leave. Light: `plan` reads it."""

from __future__ import annotations

from veilflow.components.claims import ALL, PUBLISHED, Disclosure, Protection, Send

ANY_SIZE = 1 << 36
"""Bytes of one message whose rows are as many as a table's."""
STATEMENT = 1 << 16
"""Bytes of a holder's statement for its partners' ledgers."""


def ledger_sends(holders: tuple[str, ...]) -> list[Send]:
    """Of `devices.run_ledger`: one statement from each holder to each other."""
    return [Send("sent", holders, holders, "bytes", max_bytes=STATEMENT)]


def ledger_line(holders: tuple[str, ...]) -> Disclosure:
    """What the statements tell."""
    return Disclosure(
        holders,
        "in how many people the other holder's inputs of different runs differ",
        holders,
        "from keyed sketches, for the run ledger",
        "row_count",
    )


def compare_sends(holders: tuple[str, ...], parties: tuple[str, ...]) -> list[Send]:
    """Of `spu_compare`; the SPU's own messages do not pass here."""
    third = tuple(party for party in parties if party not in holders) or (ALL,)
    numbers = Send("sent", (ALL,), (ALL,), "array", "uint64", (None, None), max_bytes=ANY_SIZE)
    return [
        PUBLISHED,
        numbers,  # the masked table; masked halves, bits and products
        Send("sent", holders, third, "array", "uint32", (None, 5), max_bytes=ANY_SIZE),  # slots
        Send("opened", kind="bytes", max_bytes=1 << 12, times=1),  # one bit: whether enough people are common
    ]


def two_party_sends(holders: tuple[str, ...]) -> list[Send]:
    """Of `two_party`: everything between the two holders."""

    def array(dtype: str, *shape: int | None) -> Send:
        return Send("sent", holders, holders, "array", dtype, shape, max_bytes=ANY_SIZE)

    return [
        PUBLISHED,
        Send("sent", holders, holders, "bytes", max_bytes=32),  # salt, session, the point of the base transfers
        array("uint8", None, 32),  # blinded points
        array("uint8", 128, 2, 32),  # points of the base transfers
        array("uint8", 128, None),  # choices, masked
        array("int64", None),  # positions in shuffled lists
        array("uint64", None, None),  # masked rows, corrections of switches
    ]


def protections(protocol: str, holders: tuple[str, ...], hidden: bool) -> list[Protection]:
    """Receipts that the run must have; which holder shuffles in `spu_compare` depends on the sizes."""
    found = [Protection("run_ledger", holders)]
    if protocol == "spu_compare":
        found.append(Protection("key_agreement", holders, {"curve": "X25519"}))
    if protocol == "two_party":
        found.append(Protection("shuffle", holders))
        if hidden:
            found.append(Protection("count_noise", holders))
    return found
