"""IDs to keys: two parties that write the same person in different ways get the same key.

A row's key is text. Equal people get equal keys where the chosen rules say so, and different tuples of normalised
cells always get different keys. Keys identify people: they stay at their party.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

import pandas as pd
import pyarrow as pa

from veilflow.components.alignment.spec import IdRules
from veilflow.components.errors import ComponentError
from veilflow.datasets.exact_text import exact_text, is_inexact, text_of

_INVISIBLE = {"Cc", "Cf"}
_MAX_PASSES = 10
_SPACE = re.compile(r"\s+")
_WHOLE = re.compile(r"([+-]?)0*([0-9]+)(?:\.0*)?")
_DATE = re.compile(
    r"([0-9]{4})(?:([-/.])(0?[1-9]|1[0-2])\2(0?[1-9]|[12][0-9]|3[01])|(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])"
    r"|\u5e74(0?[1-9]|1[0-2])\u6708(0?[1-9]|[12][0-9]|3[01])\u65e5)(?:[ T]00:00(?::00(?:\.0*)?)?)?"
)
_NOT_DIGIT = re.compile(r"[^0-9]+")
_INTERNATIONAL = re.compile(r"^(?:00)+")
_MOBILE_OF_CHINA = re.compile(r"86(1[0-9]{10})")
_CARD_NOISE = re.compile(r"[\s\-\u2010-\u2015]+")
_CARD_15 = re.compile(r"[0-9]{15}")
_CARD_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CARD_CHECK = "10X98765432"

Cells = list[str | None]


def person_keys(frame: pd.DataFrame, columns: Sequence[str], rules: IdRules, where: str = "table") -> Cells:
    """One key per row of ``frame``, None where a cell of the ID is missing.

    Guarantees: two rows have the same key only if their normalised cells are equal, column by column (where there are
    several columns, every cell is written with its length before it).
    """
    parts = [normalise(cells_of(frame[name], where), rules.of_column(at)) for at, name in enumerate(columns)]
    if len(parts) == 1:
        return parts[0]
    return [
        None if any(cell is None for cell in cells) else "".join(f"{len(cell)}:{cell}" for cell in cells)
        for cells in zip(*parts, strict=True)
    ]


def cells_of(column: pd.Series, where: str = "table") -> Cells:
    """A column's cells as text, None where missing, by `exact_text`: a number's text is the same however it is typed.

    ``1``, ``1.0`` (a float) and ``"1"`` all become ``"1"``; the text ``"1.0"`` stays as it is (rule ``number``).

    Raises:
        ComponentError: floats that have lost digits, or are infinite.
    """
    if pd.api.types.is_extension_array_dtype(column.dtype) or column.dtype.kind not in "iuf":
        cells = column.to_numpy(dtype=object).tolist()
        _require_exact(sum(map(is_inexact, cells)), column, where)
        return [cell if type(cell) is str else text_of(cell) for cell in cells]
    if column.dtype.kind != "f":
        return list(map(str, column.tolist()))
    text, lost = exact_text(pa.array(column, from_pandas=True))
    _require_exact(lost, column, where)
    return list(text.to_pylist())


def _require_exact(lost: int, column: pd.Series, where: str) -> None:
    if lost:
        raise ComponentError(
            f"{where}: ID column '{column.name}' holds {lost} of {len(column)} numbers as floats that have lost digits "
            "or are infinite, so people cannot be told apart. Write IDs as text or as whole numbers where the file is "
            "made."
        )


def normalise(cells: Cells, rules: Iterable[str]) -> Cells:
    """Cells after the rules; a cell of which nothing is left is missing.

    Guarantees: idempotent for any set of rules.
    """
    chosen = set(rules)
    steps = [step for step in _STEPS if step[0] in chosen]
    full = [form for _, _, form in steps]
    plain = [at for at, cell in enumerate(cells) if cell is not None and cell.isascii()]
    texts = [cell for cell in cells if cell is not None and cell.isascii()]
    for _, ascii_form, _ in steps:
        texts = list(map(ascii_form, texts))
    if len(plain) == len(cells):
        return [text or None for text in texts]
    done = [None if cell is None or cell.isascii() else _to_the_end(cell, full) or None for cell in cells]
    for at, text in zip(plain, texts, strict=True):
        done[at] = text or None
    return done


def _to_the_end(cell: str, forms: Sequence[Callable[[str], str]]) -> str:
    """Apply ``forms`` until nothing changes: a space removed by one can let an accent combine in another."""
    for _ in range(_MAX_PASSES):
        before = cell
        for form in forms:
            cell = form(cell)
        if cell == before:
            break
    return cell


def _fold_width(cell: str) -> str:
    kept = "".join(char for char in cell if char.isspace() or unicodedata.category(char) not in _INVISIBLE)
    return unicodedata.normalize("NFKC", kept)


def _fold_case(cell: str) -> str:
    return unicodedata.normalize("NFKC", cell.casefold())


def _drop_controls(cell: str) -> str:
    return cell if cell.isprintable() else "".join(char for char in cell if char.isspace() or char.isprintable())


def _shortest_number(cell: str) -> str:
    found = _WHOLE.fullmatch(cell)
    if found is None:
        return cell
    sign = "-" if found[1] == "-" and found[2] != "0" else ""
    return sign + found[2]


def _date(cell: str) -> str:
    """1990/1/2, 1990.01.02, 19900102 and 1990-01-02 00:00:00 are 1990-01-02. Only with the year first: 1/2/1990 is the
    first of February to some and the second of January to others, and stays as it is."""
    found = _DATE.fullmatch(cell)
    if found is None:
        return cell
    month, day = found[3] or found[5] or found[7], found[4] or found[6] or found[8]
    return f"{found[1]}-{int(month):02d}-{int(day):02d}"


def _phone(cell: str) -> str:
    digits = _INTERNATIONAL.sub("", _NOT_DIGIT.sub("", cell))
    mobile = _MOBILE_OF_CHINA.fullmatch(digits)
    return mobile[1] if mobile else digits


def _id_card(cell: str) -> str:
    """GB 11643: the old form lacks the century and the check character (ISO 7064, MOD 11-2)."""
    card = _CARD_NOISE.sub("", cell).replace("x", "X")
    if not _CARD_15.fullmatch(card):
        return card
    body = card[:6] + "19" + card[6:]
    total = sum(int(digit) * weight for digit, weight in zip(body, _CARD_WEIGHTS, strict=True))
    return body + _CARD_CHECK[total % 11]


def _without_spaces(cell: str) -> str:
    return _SPACE.sub("", cell)


_STEPS: tuple[tuple[str, Callable[[str], str], Callable[[str], str]], ...] = (
    ("width", _drop_controls, _fold_width),
    ("case", str.lower, _fold_case),
    ("strip", str.strip, str.strip),
    ("spaces", _without_spaces, _without_spaces),
    ("number", _shortest_number, _shortest_number),
    ("date", _date, _date),
    ("phone", _phone, _phone),
    ("id_card", _id_card, _id_card),
)
"""Name, form for ASCII text (most IDs, and much faster), form for all text. In the order of application."""
