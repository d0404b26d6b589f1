"""The one way to the terminal: texts whose control characters are shown, not obeyed (`pipelines.visible`)."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from veilflow.pipelines.visible import visible


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
