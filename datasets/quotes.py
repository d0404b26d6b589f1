"""Where quotes in a CSV file open and close: a quote that was never meant as one swallows the rows up to the next.

A cell is quoted where a quote stands at its very beginning; a quote anywhere else is a character like others (``12"``).
Inside a quoted cell two quotes mean one, and line ends and commas belong to the cell. Nothing in the grammar tells a
note of several lines from rows between two stray quotes; what tells them is that the "lines" inside are rows: each has
as many commas as a row has.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from veilflow.datasets.errors import SourceError

_BLOCK = 1 << 22
_QUOTE, _COMMA, _LF, _CR = b'",\n\r'


@dataclass(frozen=True)
class Quoting:
    """What was seen."""

    any: bool
    """A quote stands somewhere."""
    lines_in_cells: int
    """Line ends inside quoted cells."""


def look_at_quotes(path: Path, columns: int) -> Quoting:
    """How a file uses quotes.

    Args:
        columns: of the table.

    Raises:
        SourceError: a quoted cell is never closed, or has swallowed whole rows; says how many and where it begins.
    """
    plain = _well_formed(path)
    if plain is not None:
        return plain
    return _line_by_line(path, columns)


def _well_formed(path: Path) -> Quoting | None:
    """The answer for a file without quotes, or with nothing but whole cells in quotes and no line end in them; None for
    all others. Looks at bytes a block at a time: about a GB in a second."""
    inside, before, found = 0, _LF, False
    with path.open("rb") as file:
        block = file.read(_BLOCK)
        while block:
            following = file.read(_BLOCK)
            data = np.frombuffer(block, np.uint8)
            quotes = np.flatnonzero(data == _QUOTE)
            found = found or bool(len(quotes))
            if inside or len(quotes):
                after = following[0] if following else _LF
                padded = np.concatenate([[before], data, [after]]).astype(np.uint8)
                opens = (inside + np.arange(len(quotes))) % 2 == 0
                previous, next_ = padded[quotes], padded[quotes + 2]
                edge = np.where(opens, previous, next_)
                if not np.isin(edge, (_QUOTE, _COMMA, _LF, _CR)).all():
                    return None
                ends = np.flatnonzero(data == _LF)
                if ((np.searchsorted(quotes, ends) + inside) % 2).any():
                    return None
                inside = (inside + len(quotes)) % 2
            before, block = data[-1], following
    return None if inside else Quoting(found, 0)


def _line_by_line(path: Path, columns: int) -> Quoting:
    """The same by the grammar, for files with stray quotes or cells of several lines."""
    cell: _Cell | None = None
    inner, swallowing, rows, first = 0, 0, 0, 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if cell is None and b'"' not in line:
                continue
            if cell is not None and b'"' not in line:
                inner += 1
                cell.whole_line(line.count(b","))
                continue
            inner += cell is not None
            cell, closed = _scan(line, number, cell)
            for each in closed:
                if each.is_rows(columns):
                    swallowing, rows, first = swallowing + 1, rows + each.lines, first or each.number
    name = path.name
    if cell is not None:
        raise SourceError(
            f"'{name}': the quote that opens a cell in line {cell.number} is never closed, so all that follows would "
            "be one cell. Remove it, or close it."
        )
    if swallowing:
        raise SourceError(
            f"'{name}': {swallowing} quoted cell(s), the first from line {first} on, hold {rows} line end(s) between "
            f"what looks like whole rows of {columns} cells: stray quotes have swallowed rows. Remove them; in cells "
            "that really hold such lines, replace the line ends."
        )
    return Quoting(True, inner)


class _Cell:
    """A quoted cell that spans lines, in commas per line."""

    def __init__(self, number: int, before: int) -> None:
        self.number, self.before = number, before
        """The line it opens in, and the commas before it there."""
        self.first, self.last, self.after = 0, 0, 0
        """Commas in the cell's part of its first and last line, and in the rest of the last line."""
        self.between: list[int] = []
        """Commas of the lines between."""
        self.lines = 0

    def whole_line(self, commas: int) -> None:
        self.lines += 1
        if len(self.between) < 64:  # as many as it takes to tell
            self.between.append(commas)

    def is_rows(self, columns: int) -> bool:
        """Whether its lines would all be rows of the table, if its quotes were none. One line end alone tells nothing:
        an address in two lines may have as many commas by chance."""
        wanted = columns - 1
        return (
            wanted > 0
            and bool(self.between)
            and self.before + self.first == wanted
            and all(commas == wanted for commas in self.between)
            and self.last + self.after == wanted
        )


def _scan(line: bytes, number: int, cell: _Cell | None) -> tuple[_Cell | None, list[_Cell]]:
    """The cell that is open at the end of ``line``, and those of several lines that closed in it."""
    closed: list[_Cell] = []
    continued, start, commas, at = cell, 0, 0, 0
    body = line.rstrip(b"\r\n")
    while at < len(body):
        mark = body.find(b'"', at)
        if mark < 0:
            break
        if cell is None:
            commas += body.count(b",", at, mark)
            if mark == 0 or body[mark - 1] == _COMMA:
                cell, start = _Cell(number, commas), mark + 1
            at = mark + 1
        elif body[mark + 1 : mark + 2] == b'"':
            at = mark + 2
        else:
            inside = body.count(b",", start, mark)
            if cell is continued:
                cell.lines += 1
                cell.last, cell.after = inside, body.count(b",", mark + 1)
                closed.append(cell)
            cell, at = None, mark + 1
    if cell is not None:
        if cell is continued:
            cell.whole_line(body.count(b","))
        else:
            cell.first = body.count(b",", start)
    return cell, closed
