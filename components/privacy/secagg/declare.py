"""What a secure sum sends, tells and must prove: lines for the `Claims` of the step that uses it. Light.

A step that uses `SecureSum` adds `sends`, `discloses` and `protections` to its own, and makes the sizes
``coordinates`` (length of the vector) and ``rounds`` known (`devices.events.sizes`) before the first sum. How many
bytes a masked or encrypted vector of so many coordinates has, `SecureSum` makes known itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from veilflow.components.claims import PUBLISHED, Disclosure, Protection, Send
from veilflow.components.privacy.secagg.settings import MASKS, MEDIAN, PACKED_HE, PLAIN, SPU, SumSettings

MASKED, BARE = "masked vector", "bare vector"
CIPHERTEXTS, BLINDED, OPENED_BLINDED = "ciphertexts", "blinded sum", "opened blinded sum"
PUBLIC_KEY = "public key"
MASKED_BYTES, CIPHERTEXT_BYTES, OPENED_BYTES = "masked_bytes", "ciphertext_bytes", "opened_bytes"
"""Names of sizes."""
_LARGE = 1 << 30


def sends(settings: SumSettings, clients: Sequence[str], coordinator: str) -> list[Send]:
    """The lines of the egress table."""
    all_clients, centre = tuple(clients), (coordinator,)
    if settings.backend == MASKS:
        return [
            PUBLISHED,
            Send(PUBLIC_KEY, all_clients, kind="bytes", max_bytes=32, times=1),
            Send(MASKED, all_clients, centre, "bytes", shape=(MASKED_BYTES,), max_bytes=_LARGE, times="rounds"),
        ]
    if settings.backend == PACKED_HE:
        keeper = (settings.key_keeper(clients, coordinator),)
        encrypting = tuple(party for party in clients if party not in (*keeper, coordinator))
        return [
            PUBLISHED,
            Send(PUBLIC_KEY, keeper, kind="bytes", max_bytes=4096, times=1),
            Send(CIPHERTEXTS, encrypting, centre, "bytes", max_bytes=CIPHERTEXT_BYTES, times="rounds"),
            Send(BLINDED, centre, keeper, "bytes", max_bytes=CIPHERTEXT_BYTES, times="rounds"),
            Send(OPENED_BLINDED, keeper, centre, "bytes", shape=(OPENED_BYTES,), max_bytes=_LARGE, times="rounds"),
        ]
    if settings.backend == SPU:
        return [
            PUBLISHED,
            Send("shares", all_clients, kind="bytes", max_bytes=_LARGE),
            Send("opened", to=centre, kind="bytes", max_bytes=_LARGE, times="rounds"),
        ]
    return [
        PUBLISHED,
        Send(BARE, all_clients, centre, "array", "int64", ("coordinates",), max_bytes=_LARGE, times="rounds"),
    ]


def discloses(settings: SumSettings, clients: Sequence[str], coordinator: str) -> list[Disclosure]:
    """The lines of the disclosure table; what the vectors are is for the step itself to say."""
    about, centre = tuple(clients), (coordinator,)
    everyone = Disclosure(
        ("*",), "which clients took part in each round, and the vector's length", about, kind="schema"
    )
    if settings.backend == PLAIN:
        note = "a baseline without protection; production refuses it"
        return [everyone, Disclosure(centre, "EACH CLIENT'S vector, every round", about, note, "gradient_sum")]
    notes = {
        MASKS: "pairwise masks; all other clients together with the coordinator could open one client's vector",
        PACKED_HE: f"Paillier; the coordinator together with {settings.key_keeper(clients, coordinator)}, who holds "
        "the key, could open each client's vector",
        SPU: "secret shares; two of the SPU's three parties together could open each client's vector",
    }
    note = notes[settings.backend]
    if settings.combine == MEDIAN:
        note += "; each entry is one client's own value (of an even number, the mean of two): a client knows which are "
        note += "its own, and is not told whose the others are"
        what = "the entry-wise median of the clients' vectors, every round"
        return [everyone, Disclosure(centre, what, about, note, "gradient_sum")]
    if settings.minimum_clients == 2:
        note += "; in a round of two clients, each of them can subtract its own vector from a sum that it is told"
    return [everyone, Disclosure(centre, "the sum of the clients' vectors, every round", about, note, "gradient_sum")]


def protections(settings: SumSettings, clients: Sequence[str], coordinator: str) -> list[Protection]:
    """The receipts that `SecureSum.receipts` writes; ``plain`` protects nothing and has none."""
    if settings.backend == PLAIN:
        return []
    at = [*clients, *([] if coordinator in clients else [coordinator])]
    wanted: dict[str, object] = {"backend": settings.backend, "combine": settings.combine}
    wanted |= {"minimum_clients": settings.minimum_clients}
    if settings.backend == PACKED_HE:
        wanted["key_bits"] = settings.key_bits
    return [Protection("secure_sum", tuple(at), wanted)]
