"""The one way to the terminal: texts whose control characters are shown, not obeyed.

Names, values and errors come from files and from other parties. ESC sequences in them could move the cursor, change the
window's title or hide a line; marks of writing direction could make a line read as another one.
"""

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

# C0 without line feed, DEL, C1, line and paragraph separators, marks of writing direction, halves of characters.
_OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def visible(text: str) -> str:
    """``text`` with every character that a terminal would obey written as its code, ``\\x1b``; line feeds stay."""
    return _OBEYED.sub(_code, text)


def _code(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def say(text: str, err: bool = False, newline: bool = True) -> None:
    """Print ``text`` to standard output, or to standard error."""
    stream = sys.stderr if err else sys.stdout  # not click.echo: it writes UTF-8 to a terminal that said ASCII
    stream.write(visible(text) + "\n" * newline)
    stream.flush()


@contextmanager
def errors_said() -> Iterator[None]:
    """Let click's errors, which may quote what was given, be shown like everything else."""
    try:
        yield
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(file=shown)
        error.show = lambda file=None: say(shown.getvalue(), err=True, newline=False)  # type: ignore[method-assign]
        raise


def prepare_streams() -> None:
    """Make printing safe whatever the terminal: an encoding that lacks a character shows its code; a stream that was
    closed leads nowhere, so that no file opened later is taken for it."""
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
