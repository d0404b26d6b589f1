"""A stray quote is text, or it is told: it never swallows rows in silence."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from veilflow.datasets.errors import SourceError
from veilflow.datasets.quotes import Quoting, look_at_quotes
from veilflow.datasets.sources import open_table
from veilflow.datasets.wanted import Wanted

ROWS = [f"p{number},n{number},{number % 2}" for number in range(30)]


def _file(folder: Path, *lines: str) -> Path:
    (folder / "t.csv").write_text("\n".join(["person,note,ill", *lines, ""]))
    return folder / "t.csv"


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ('p5,"oops,1', 'p20,oops",1'),
        ('p5,"oops,1', 'p20,"oops",1'),
        ('"p5,oops,1', 'p20,oops,1"'),
        ('p5,"o,1', '"p20",o,1'),
    ],
)
def test_rows_between_two_stray_quotes_are_told(tmp_path: Path, first: str, last: str):
    _file(tmp_path, *ROWS[:5], first, *ROWS[6:20], last, *ROWS[21:])
    with pytest.raises(SourceError, match=r"line|quote") as caught:
        open_table("t.csv", tmp_path, Wanted(text=("person",)))
    assert "oops" not in str(caught.value)


def test_rows_are_told_where_the_column_itself_is_not_wanted(tmp_path: Path):
    path = _file(tmp_path, *ROWS[:5], 'p5,"oops,1', *ROWS[6:20], 'p20,oops",1', *ROWS[21:])
    with pytest.raises(SourceError, match=r"1 quoted cell\(s\), the first from line 7 on, hold 15 line end\(s\)"):
        open_table(path.name, tmp_path, Wanted(text=("person",), drop=("note",)))


def test_a_quote_that_never_closes_is_told_with_its_line(tmp_path: Path):
    _file(tmp_path, *ROWS[:5], 'p5,"oops,1', *ROWS[6:])
    with pytest.raises(SourceError, match="the quote that opens a cell in line 7 is never closed"):
        open_table("t.csv", tmp_path, Wanted(text=("person",)))


@pytest.mark.parametrize("note", ['12"', "5' 12\"", 'a"b', '1" or 2"'])
def test_a_quote_inside_a_cell_is_a_character_like_others(tmp_path: Path, note: str):
    _file(tmp_path, *ROWS[:5], f"p5,{note},1", *ROWS[6:])
    found = open_table("t.csv", tmp_path, Wanted(text=("person",)))
    assert len(found) == 30
    assert found["note"][5] == note


def test_a_note_of_several_lines_stays_one_cell(tmp_path: Path):
    note = "Dear Ann,\nthe leg hurts, and more so, since the fall\n\nyours, Ben"
    path = _file(tmp_path, *ROWS[:5], f'p5,"{note}",1', *ROWS[6:])
    assert look_at_quotes(path, 3) == Quoting(True, 3)
    found = open_table("t.csv", tmp_path, Wanted(text=("person",)))
    assert (len(found), found["note"][5]) == (30, note)


CELL = st.text(st.sampled_from('ab ,"\n'), max_size=6)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=6), everywhere=st.booleans())
def test_line_ends_in_cells_are_counted_as_the_csv_module_reads_them(tmp_path: Path, rows, everywhere):
    sink = io.StringIO()
    style = csv.QUOTE_ALL if everywhere else csv.QUOTE_MINIMAL
    csv.writer(sink, lineterminator="\n", quoting=style).writerows([("one", "two"), *rows])
    path = tmp_path / "t.csv"
    path.write_text(sink.getvalue())
    inside = sum(cell.count("\n") for row in rows for cell in row)
    if any(_like_rows(cell, 2) for row in rows for cell in row):
        return  # a cell of three or more lines that may be rows: the tests above
    assert look_at_quotes(path, 2).lines_in_cells == inside


def _like_rows(cell: str, columns: int) -> bool:
    between = cell.split("\n")[1:-1]
    return bool(between) and all(line.count(",") == columns - 1 for line in between)
