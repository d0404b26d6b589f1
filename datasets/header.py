"""The first line of a table: names of columns, or somebody's data?

A file without a header line has its first row taken for names, and names become public. They are let through only where
something shows that the line is a header: a name that the pipeline file declares stands in it, or, where none is
declared, columns of numbers stand under names that are no data. Everything else is refused without a word of the line.
"""

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from veilflow.datasets.errors import SourceError
from veilflow.datasets.file_format import NOT_UTF8
from veilflow.datasets.wanted import Wanted, listed

_NUMBER = re.compile(r"[+-]?[$€¥£]?[\d.,]*\d[\d.,]*(?:[eE][+-]?\d+)?\s*%?")
_DATE_OR_TIME = re.compile(r"\d{1,4}[-/.年]\d{1,2}(?:[-/.月]\d{1,4}日?)?(?:[ T].*)?|\d{1,2}:\d{2}.*")
_MANY_DIGITS = re.compile(r"\d{5}")
_MISSING = frozenset({"-", "--", "?", ".", "na", "n/a", "nan", "null", "none", "nil", "unknown", "missing", "#n/a"})
_YES_NO = frozenset({"true", "false", "yes", "no", "male", "female"})
_LONGEST = 200
_OTHER_SEPARATOR = (
    " Its cells seem to be separated by another character than a comma: save it with commas between cells and points "
    "in numbers."
)


def first_line(path: Path) -> list[str]:
    """The names in a CSV file's first line that is not empty, as they stand.

    Raises:
        SourceError: there is none, or it is no UTF-8 text.
    """
    try:
        # Bytes of another encoding become surrogates: only those of the first line matter here.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            cells = next((cells for cells in csv.reader(file) if cells), None)
    except csv.Error:
        cells = []
    if cells is None:
        raise SourceError(f"'{path.name}' is empty: it needs a header line and rows.")
    if not cells:
        raise SourceError(f"the first line of '{path.name}' cannot be read as CSV: it is too long, or binary.")
    if not all(cell.isascii() or _is_text(cell) for cell in cells):
        raise SourceError(f"the header line of '{path.name}' is not UTF-8 text: {NOT_UTF8}.")
    return cells


def require_names(raw: Sequence[str], wanted: Wanted, called: str) -> dict[str, str]:
    """Names without blanks around them -> names as they stand in the file, of all columns.

    Raises:
        SourceError: columns without a name, names that stand twice, or none or not all of the declared ones.
    """
    names = [name.strip() for name in raw]
    first = f"the first line of {called} is {listed(names)}"
    declared = wanted.declared
    absent = [name for name in declared if name not in names]
    if declared and len(absent) == len(declared):
        split = _OTHER_SEPARATOR if _other_separator(raw) else ""
        raise SourceError(
            f"{called} has none of the columns that the step names ({_named(declared)}) among the {len(names)} in its "
            f"first line: is there no header line? Add one, or correct the names.{split}",
            first,
        )
    blank = sum(not name for name in names)
    if blank:
        raise SourceError(f"{called}: {blank} column(s) have no name in the header: name or remove them.", first)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        public, own = wanted.told(twice)
        raise SourceError(
            f"{called}: {public} of {len(names)} stand(s) twice in its first line: rename one of each, "
            "or add a header line if there is none.",
            f"twice: {own}; {first}",
        )
    if absent:
        raise SourceError(
            f"{called} has no column {_named(absent)} among its {len(names)}; correct the name in the step.", first
        )
    return dict(zip(names, raw, strict=True))


def kept_columns(names: Mapping[str, str], wanted: Wanted, called: str) -> dict[str, str]:
    """Of what `require_names` gives, the columns to read.

    Raises:
        SourceError: there is none.
    """
    kept = {name: as_stored for name, as_stored in names.items() if wanted.wants(name)}
    if not kept:
        raise SourceError(f"{called}: no column is left; check columns and drop.")
    return kept


def require_header(columns: Mapping[str, str], wanted: Wanted, called: str) -> None:
    """Refuse a table of which nothing shows that its first line is a header.

    Args:
        columns: name -> ``number``, ``text`` or ``empty``, by the cells below.

    Raises:
        SourceError: as above.
    """
    if wanted.declared:
        return  # `require_names` has found them
    own = f"the first line of {called} is {listed(list(columns))}"
    data = sum(looks_like_data(name) for name in columns)
    if data:
        raise SourceError(
            f"{called}: {data} of the {len(columns)} names in its first line look like data: is there no header line? "
            "Add one; if there is, name a column of it in id, label, columns, types or drop.",
            own,
        )
    if "number" not in columns.values():
        raise SourceError(
            f"{called}: nothing shows that its first line holds names and not the first row: all {len(columns)} "
            "columns are text. Name a column of it in id, label, columns, types or drop.",
            own,
        )


def looks_like_data(name: str) -> bool:
    """Whether a name looks like a cell: a number, a date, a mark of a missing cell, yes or no, an address, an ID."""
    word = name.strip()
    return bool(
        not word
        or _NUMBER.fullmatch(word)
        or _DATE_OR_TIME.fullmatch(word)
        or word.lower() in _MISSING
        or word.lower() in _YES_NO
        or "@" in word
        or _MANY_DIGITS.search(word)
        or len(word) > _LONGEST
    )


def _is_text(cell: str) -> bool:
    try:
        cell.encode()
    except UnicodeEncodeError:
        return False
    return True


def _other_separator(raw: Sequence[str]) -> bool:
    return len(raw) == 1 and any(mark in raw[0] for mark in (";", "\t", "|"))


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")
