"""The ledger's pages and the decision whether another run may be entered: no files, no clock.

A run is entered before anything about it is sent, and stays entered if it fails. Each holder enters its own input and,
from the sketch that comes with the run, every partner's, so that a partner without its own ledger is held to the same
rules.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from veilflow.components.alignment.ledger.rules import LedgerRules
from veilflow.components.alignment.ledger.sketch import COUNTERS, Sketch
from veilflow.components.errors import ComponentError

DAY = 86_400.0


@dataclass(frozen=True)
class Entry:
    """One input that took part in one run."""

    time: float
    """Seconds since 1970."""
    owner: str
    partners: tuple[str, ...]
    """The other holders, sorted."""
    run: str
    """Hex digits that all inputs of a run have in common."""
    input: Sketch


def enter(book: Sequence[Entry], entry: Entry, rules: LedgerRules) -> tuple[Entry, ...]:
    """The book with ``entry``; what is older than the rules remember is left out.

    Raises:
        ComponentError: a rule forbids the run; the book stays as it is.
    """
    kept = [each for each in book if each.time > entry.time - max(rules.days, 1) * DAY]
    same = [each for each in kept if each.owner == entry.owner and each.partners == entry.partners]
    _require_size(entry, rules)
    _require_rate(same, entry, rules)
    _require_change(same, entry, rules)
    return (*kept, entry)


def _require_size(entry: Entry, rules: LedgerRules) -> None:
    if entry.input.people < rules.minimum:
        raise ComponentError(
            f"run ledger: {entry.owner} brings {entry.input.people} people, at least {rules.minimum} are wanted "
            f"(ledger minimum): results on few people tell who they are."
        )


def _require_rate(same: Iterable[Entry], entry: Entry, rules: LedgerRules) -> None:
    today = len({each.run for each in same if each.time > entry.time - DAY} - {entry.run})
    if rules.runs and today >= rules.runs:
        raise ComponentError(
            f"run ledger: {entry.owner} has had {today} runs with {', '.join(entry.partners)} within 24 hours, as many "
            f"as are allowed (ledger runs). Wait, or use the stored result of an earlier run."
        )


def _require_change(same: Sequence[Entry], entry: Entry, rules: LedgerRules) -> None:
    earlier = {each.input.digest: each.input for each in same}
    if entry.input.digest in earlier:
        return  # an input that was there before tells nothing new
    if rules.inputs and len(earlier) >= rules.inputs:
        raise ComponentError(
            f"run ledger: {entry.owner} has used {len(earlier)} different inputs with {', '.join(entry.partners)} in "
            f"{rules.days} days, as many as are allowed (ledger inputs)."
        )
    for known in earlier.values():
        _require_far(known, entry, rules)


def _require_far(known: Sketch, entry: Entry, rules: LedgerRules) -> None:
    if known.key != entry.input.key:
        raise ComponentError(
            f"run ledger: {entry.owner}'s ledger key is another one than before, so its input cannot be compared with "
            f"earlier ones. Restore its ledger folder, or wait until the {rules.days} days are over."
        )
    least = rules.change * max(known.people, entry.input.people)
    if entry.input.difference(known) < least:
        raise ComponentError(
            f"run ledger: {entry.owner}'s input is nearly that of an earlier run with {', '.join(entry.partners)}: "
            f"they differ in fewer than {least:.0f} people (ledger change). The difference of two results would be "
            f"about those few. Use the same input again, or one that differs more."
        )


def to_json(book: Sequence[Entry]) -> dict[str, Any]:
    """A book as JSON-able values; an input that took part often stands there once."""
    inputs = {each.input.digest: sketch_to_json(each.input) for each in book}
    entries = [
        {
            "time": each.time,
            "owner": each.owner,
            "partners": list(each.partners),
            "run": each.run,
            "input": each.input.digest,
        }
        for each in book
    ]
    return {"inputs": inputs, "entries": entries}


def from_json(document: Mapping[str, Any]) -> list[Entry]:
    """The inverse of `to_json`."""
    inputs = {digest: sketch_from_json(found) for digest, found in document["inputs"].items()}
    return [
        Entry(float(each["time"]), str(each["owner"]), tuple(each["partners"]), str(each["run"]), inputs[each["input"]])
        for each in document["entries"]
    ]


def sketch_to_json(input: Sketch) -> dict[str, Any]:
    """A sketch as JSON-able values, some kB."""
    packed = base64.b64encode(zlib.compress(input.counters.astype("<i4").tobytes())).decode()
    return {"people": input.people, "digest": input.digest, "key": input.key, "counters": packed}


def sketch_from_json(document: Mapping[str, Any]) -> Sketch:
    """The inverse of `sketch_to_json`; what comes from a partner is checked.

    Raises:
        ComponentError: it is not a sketch.
    """
    try:
        unpack = zlib.decompressobj()
        raw = unpack.decompress(base64.b64decode(document["counters"], validate=True), 4 * COUNTERS)
        counters = np.frombuffer(raw, "<i4").astype(np.int32)
        found = Sketch(int(document["people"]), str(document["digest"]), str(document["key"]), counters)
    except (KeyError, TypeError, ValueError, zlib.error):
        raise ComponentError("run ledger: a partner's statement about its input cannot be read.") from None
    if counters.shape != (COUNTERS,) or found.people < 0:
        raise ComponentError("run ledger: a partner's statement about its input cannot be read.")
    return found
