"""The book, and statements to partners, as JSON-able values.

Version 1 named parties and kept no values and no charges. Its entries are carried over: a page goes on under the
party's name, as in `book.Party.known_as`, and its inputs are compared by their people alone.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from veilflow.components.alignment.ledger.book import Book, Charge, Entry, named
from veilflow.components.alignment.ledger.sketch import COUNTERS, Input, Sketch
from veilflow.components.errors import ComponentError

VERSION = 2


def to_json(book: Book) -> dict[str, Any]:
    """A book; an input that took part often stands there once."""
    inputs = {_key(each.input): input_to_json(each.input) for each in book.entries}
    entries = [
        {
            "time": each.time,
            "owner": each.owner,
            "partners": list(each.partners),
            "run": each.run,
            "input": _key(each.input),
        }
        for each in book.entries
    ]
    charges = [
        {"partner": each.partner, "question": each.question, "epsilon": str(each.epsilon)} for each in book.charges
    ]
    return {"version": VERSION, "inputs": inputs, "entries": entries, "charges": charges}


def from_json(document: Mapping[str, Any]) -> Book:
    """The inverse of `to_json`, and of what earlier versions wrote.

    Raises:
        ComponentError: a later version wrote it.
    """
    version = document.get("version", 1)
    if version == 1:
        return _from_version_1(document)
    if version != VERSION:
        raise ComponentError(
            f"run ledger: the book of earlier runs has version {version}, this VeilFlow reads up to {VERSION}. "
            f"Use the VeilFlow that wrote it, or a later one."
        )
    inputs = {key: input_from_json(found) for key, found in document["inputs"].items()}
    entries = tuple(
        Entry(float(each["time"]), str(each["owner"]), tuple(each["partners"]), str(each["run"]), inputs[each["input"]])
        for each in document["entries"]
    )
    charges = tuple(
        Charge(str(each["partner"]), str(each["question"]), Fraction(each["epsilon"])) for each in document["charges"]
    )
    return Book(entries, charges)


def _from_version_1(document: Mapping[str, Any]) -> Book:
    inputs = {key: Input(sketch_from_json(found)) for key, found in document["inputs"].items()}
    return Book(
        tuple(
            Entry(
                float(each["time"]),
                named(each["owner"]),
                tuple(map(named, each["partners"])),
                str(each["run"]),
                inputs[each["input"]],
            )
            for each in document["entries"]
        )
    )


def _key(input: Input) -> str:
    return "+".join(input.name)


def input_to_json(input: Input) -> dict[str, Any]:
    """What a holder states of its input, some 20 kB."""
    rows = None if input.rows is None else sketch_to_json(input.rows)
    return {"people": sketch_to_json(input.people), "rows": rows, "asked": input.asked}


def input_from_json(document: Mapping[str, Any]) -> Input:
    """The inverse of `input_to_json`; what comes from a partner is checked.

    Raises:
        ComponentError: it is no such statement.
    """
    try:
        people, rows, asked = document["people"], document["rows"], str(document["asked"])
    except (KeyError, TypeError):
        raise _unreadable() from None
    found = Input(sketch_from_json(people), None if rows is None else sketch_from_json(rows), asked)
    if found.rows is not None and (found.rows.people, found.rows.key) != (found.people.people, found.people.key):
        raise _unreadable()
    return found


def sketch_to_json(sketch: Sketch) -> dict[str, Any]:
    """A sketch, some kB."""
    packed = base64.b64encode(zlib.compress(sketch.counters.astype("<i4").tobytes())).decode()
    return {"people": sketch.people, "digest": sketch.digest, "key": sketch.key, "counters": packed}


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
        raise _unreadable() from None
    if counters.shape != (COUNTERS,) or found.people < 0:
        raise _unreadable()
    return found


def _unreadable() -> ComponentError:
    return ComponentError("run ledger: a partner's statement about its input cannot be read.")
