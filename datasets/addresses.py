"""Addresses of data: a file, `sample://set/part`, or `generate://set/part?rows=1000&seed=7`.

Nothing is read here and nothing heavy is imported, so that a pipeline's addresses can be checked at once.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

from veilflow.datasets.errors import SourceError

Entry = TypeVar("Entry")

FILE_ENDINGS = (".csv", ".parquet", ".npz")

SAMPLES: Mapping[str, tuple[str, ...]] = {
    "breast_cancer": ("hospital", "insurer", "hospital_new", "insurer_new", "hospital_new_outcome"),
}
"""Sample sets and their parts."""


@dataclass(frozen=True)
class Option:
    """One option of a generator, with its default and closed bounds."""

    default: int | float
    low: float
    high: float
    meaning: str


_ROWS = Option(1000, 1, 20_000_000, "rows of the part")
_SEED = Option(0, 0, 2**63 - 1, "the same seed gives the same rows")

GENERATORS: Mapping[str, tuple[tuple[str, ...], Mapping[str, Option]]] = {
    "hospital_insurer": (
        ("hospital", "insurer"),
        {
            "rows": _ROWS,
            "seed": _SEED,
            "overlap": Option(0.8, 0.0, 1.0, "share of each party's people that the other has too"),
            "missing": Option(0.0, 0.0, 0.5, "share of feature cells left empty"),
            "outliers": Option(0.0, 0.0, 0.5, "share of feature cells multiplied out of range"),
            "duplicates": Option(0.0, 0.0, 0.5, "share of people who appear a second time"),
        },
    ),
    "three_banks": (
        ("bank_1", "bank_2", "bank_3", "test", "agreed"),
        {
            "rows": _ROWS,
            "seed": _SEED,
            "features": Option(28, 1, 512, "number of features"),
            "shift": Option(0.0, 0.0, 2.0, "how far the banks' feature means lie apart, in standard deviations"),
        },
    ),
    "retail_stores": (
        ("store_1", "store_2", "store_3", "test"),
        {
            "rows": _ROWS,
            "seed": _SEED,
            "shift": Option(0.3, 0.0, 2.0, "how far the stores' customers differ, in standard deviations"),
        },
    ),
}
"""Generators: their parts and options."""


@dataclass(frozen=True)
class Address:
    """A parsed address."""

    kind: str
    """``file``, ``sample`` or ``generate``."""
    path: str = ""
    """Of a file, as written."""
    set: str = ""
    part: str = ""
    options: Mapping[str, int | float] = field(default_factory=dict)
    """Of a generator, defaults filled in."""


def parse_address(text: str) -> Address:
    """The parts of an address.

    Raises:
        SourceError: unknown scheme, set, part, option or file ending, or an option out of bounds; says what there is.
    """
    if not text.strip():
        raise SourceError("the path is empty: give a file, sample://set/part or generate://set/part.")
    if "://" not in text:
        return _file(text)
    url = urlsplit(text)
    name, part = url.netloc, url.path.strip("/")
    if url.scheme == "sample":
        parts = _pick(SAMPLES, name, "sample set")
        _known(part, parts, f"part of sample://{name}")
        if url.query:
            raise SourceError(f"sample://{name}/{part} takes no options; remove everything after '?'.")
        return Address("sample", set=name, part=part)
    if url.scheme == "generate":
        parts, options = _pick(GENERATORS, name, "generator")
        _known(part, parts, f"part of generate://{name}")
        return Address("generate", set=name, part=part, options=_options(name, url.query, options))
    raise SourceError(f"'{url.scheme}://' is not supported: use a file path, sample:// or generate://.")


def _file(text: str) -> Address:
    if not text.lower().endswith(FILE_ENDINGS):
        raise SourceError(f"'{text}' does not end in {', '.join(FILE_ENDINGS)}: the ending tells how to read it.")
    return Address("file", path=text)


def _options(name: str, query: str, known: Mapping[str, Option]) -> dict[str, int | float]:
    values: dict[str, int | float] = {key: option.default for key, option in known.items()}
    for key, text in parse_qsl(query, keep_blank_values=True):
        _known(key, known, f"option of generate://{name}")
        option = known[key]
        kind = type(option.default)
        try:
            value = kind(text)
        except ValueError:
            raise SourceError(f"generate://{name}: {key}={text} is not of type {kind.__name__}.") from None
        if not option.low <= value <= option.high:
            raise SourceError(f"generate://{name}: {key}={text} is outside {option.low:g} to {option.high:g}.")
        values[key] = value
    return values


def _pick(table: Mapping[str, Entry], name: str, what: str) -> Entry:
    _known(name, table, what)
    return table[name]


def _known(name: str, names: Iterable[str], what: str) -> None:
    known = list(names)
    if name in known:
        return
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    raise SourceError(f"no {what} is called '{name}' (there is: {', '.join(known)}){hint}")
