"""The egress check: every object is compared with what the step's claims say it sends, before it leaves.

Computes     for each outgoing object whether the table of its step (`Claims.sends`) has a line that fits: label,
             sender, receiver, kind, dtype, shape, size, and how many there were already. Incoming objects are held to
             the sender's lines of the same table, and float arrays must be finite.
Adversary    our own mistakes: a `reveal`, a debug `.to()`, a value in the wrong place; and a peer that sends something
             else than the step's protocol has.
Reveals      nothing; a refusal names the step, the label, and shapes.
Not covered  the content of what fits, and links that do not pass here (inside SPU and PSI).
Assumes      claims are right; every party has the same code (`handshake` compares it).
Cost         microseconds, and one pass over float arrays.
Reference    the nearest relative is the privacy filter of NVFlare, which transforms what leaves; this one refuses it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from veilflow.components.claims import ALL, Send
from veilflow.components.devices.labels import RUNTIME
from veilflow.pipelines.party.wire.describe import Seen, describe, is_finite
from veilflow.pipelines.party.wire.errors import EgressRefused, WireRefused

RUNTIME_SENDS = [Send(RUNTIME, kind="document", max_items=65536, max_bytes=4 << 20)]
"""What the runner itself may send in any step: facts, ids, who lacks which output."""


@dataclass(frozen=True)
class Tag:
    """Noted in the main thread when an object is queued: where it belongs."""

    step: str
    what: str


class Gate:
    """One party's table of what may pass, per step."""

    def __init__(self, party: str) -> None:
        self._party = party
        self._tables: dict[str, Sequence[Send]] = {"": RUNTIME_SENDS}
        self._sizes: dict[str, dict[str, int]] = {}
        self._passed: Counter[tuple[str, int, str, str]] = Counter()

    def open(self, tables: Mapping[str, Sequence[Send]]) -> None:
        """Replace the tables by those of a plan: step -> what it may send."""
        self._tables = {"": RUNTIME_SENDS, **{step: [*RUNTIME_SENDS, *sends] for step, sends in tables.items()}}
        self._sizes = {}
        self._passed.clear()

    def sizes(self, step: str, values: Mapping[str, int]) -> None:
        """Make known what names in ``shape`` and ``times`` stand for in this step."""
        self._sizes.setdefault(step, {}).update(values)

    def admit_out(self, tag: Tag, receiver: str, value: Any) -> Seen:
        """Describe ``value`` if it may leave.

        Raises:
            EgressRefused: no line fits; the message says what was seen and what the step may send to this party.
        """
        seen = describe(value)
        if seen.kind == "failure":
            return seen
        line = self._match(tag, self._party, receiver, seen, True)
        if line is not None:
            if not _finite(line, value):
                raise EgressRefused(f"step '{tag.step}' was about to send {seen} to {receiver} with cells not finite.")
            return seen
        lines = self._lines(tag, self._party, receiver)
        known = "; ".join(_words(line) for line in lines) or "nothing"
        raise EgressRefused(
            f"step '{tag.step or 'none'}' was about to send {seen} to {receiver} "
            f"{f'as {tag.what!r}' if tag.what else 'without saying what it is'}. "
            f"It may send {receiver}: {known}. Nothing was sent."
        )

    def admit_in(self, tag: Tag, sender: str, value: Any) -> Seen:
        """Describe what ``sender`` sent if the step's claims let it.

        Raises:
            WireRefused: no line fits, or an array holds NaN or infinities.
        """
        seen = describe(value)
        if seen.kind == "failure":
            return seen
        line = self._match(tag, sender, self._party, seen, False)
        if line is None:
            raise WireRefused(
                f"{sender} sent {seen} as {tag.what!r} in step '{tag.step}', which that step does not send."
            )
        if not _finite(line, value):
            raise WireRefused(f"{sender} sent {seen} in step '{tag.step}' with cells that are not finite.")
        return seen

    def _match(self, tag: Tag, sender: str, receiver: str, seen: Seen, strict: bool) -> Send | None:
        for index, line in enumerate(self._tables.get(tag.step, ())):
            key = (tag.step, index, sender, receiver)
            if self._fits(line, tag, sender, receiver, seen, self._passed[key], strict):
                self._passed[key] += 1
                return line
        return None

    def _fits(self, line: Send, tag: Tag, sender: str, receiver: str, seen: Seen, passed: int, strict: bool) -> bool:
        if not (_names(line.sender, sender) and _names(line.to, receiver)):
            return False
        if line.kind == "anything":
            return tag.what != RUNTIME
        sizes = self._sizes.get(tag.step, {})
        limit = sizes.get(line.times) if isinstance(line.times, str) else line.times
        longest = sizes.get(line.max_bytes) if isinstance(line.max_bytes, str) else line.max_bytes
        shape = (seen.size,) if seen.kind == "bytes" else seen.shape
        if strict and ((isinstance(line.times, str) and limit is None) or longest is None):
            return False  # the step has not said how many there will be, or how long
        return (
            line.what == tag.what
            and line.kind == seen.kind
            and line.dtype in (None, seen.dtype)
            and _shape_fits(line.shape, shape, sizes, strict)
            and (seen.kind not in ("document", "bundle") or seen.items <= line.max_items)
            and (longest is None or seen.size <= longest)
            and (limit is None or passed < limit)
        )

    def _lines(self, tag: Tag, sender: str, receiver: str) -> list[Send]:
        table = self._tables.get(tag.step, ())
        return [s for s in table if _names(s.sender, sender) and _names(s.to, receiver) and s.what != RUNTIME]


def _finite(line: Send, value: Any) -> bool:
    return line.kind == "anything" or is_finite(value)


def _names(parties: Sequence[str], party: str) -> bool:
    return ALL in parties or party in parties


def _shape_fits(
    wanted: Sequence[int | str | None] | None, seen: Sequence[int], sizes: Mapping[str, int], strict: bool
) -> bool:
    if wanted is None:
        return True
    if len(wanted) != len(seen):
        return False
    for want, have in zip(wanted, seen, strict=True):
        bound = sizes.get(want) if isinstance(want, str) else want
        unknown = isinstance(want, str) and bound is None
        if (unknown and strict) or (bound is not None and bound != have):
            return False
    return True


def _words(line: Send) -> str:
    parts = [line.kind]
    if line.dtype:
        parts.insert(0, line.dtype)
    if line.shape is not None:
        parts.append(f"of shape {['?' if each is None else each for each in line.shape]}")
    if line.times is not None:
        parts.append(f"{line.times} time(s)")
    return f"{' '.join(parts)} as {line.what!r}"
