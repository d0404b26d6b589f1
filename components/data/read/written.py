"""Numbers as people and spreadsheets write them, which no column of numbers may hold: thousands separators, decimal
commas, percent and currency signs; and IDs that a spreadsheet has made short numbers of. Counted, never converted:
whether 1,234 is a thousand or a little more than one is for its owner to say."""

import re
import unicodedata

import pandas as pd

_SPACES = " \u00a0\u202f'\u2019"
_GROUPED = (
    rf"\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d{{1,3}}(?:\.\d{{3}})+(?:,\d+)?|\d{{1,3}}(?:[{_SPACES}]\d{{3}})+(?:[.,]\d+)?"
)
_PLAIN = r"\d+(?:[.,]\d+)?"
_SIGN = r"(?:[$€£¥￥₹]|R?MB|CNY|USD|EUR|CHF|元)"
_DRESSED = re.compile(rf"\(?[-+−]?{_SIGN}?\s?[-+−]?(?:{_GROUPED}|{_PLAIN})\s?(?:{_SIGN}|[%％‰])?\)?")
_SHORTENED = re.compile(r"\d(?:\.\d+)?[eE]\+\d{2,}")


def numbers_in_dress(column: pd.Series) -> int:
    """Of a text column, how many cells are numbers to a person, plain ones among them, in whatever width of digits."""
    return int(column.map(lambda cell: isinstance(cell, str) and _is_number(cell)).sum())


def shortened_ids(column: pd.Series) -> int:
    """Of an ID column, how many cells are numbers of which only the first digits were kept, as in 1.10101E+17."""
    return int(column.map(lambda cell: isinstance(cell, str) and bool(_SHORTENED.fullmatch(cell.strip()))).sum())


def _is_number(cell: str) -> bool:
    narrow = cell if cell.isascii() else unicodedata.normalize("NFKC", cell)
    return bool(_DRESSED.fullmatch(narrow.strip()))
