"""Printing: rich on a terminal, plain and uncut text into a pipe."""

import io
import sys

import click
from rich.console import Console, RenderableType

_UNLIMITED = 100_000


def show(*parts: RenderableType) -> None:
    """Print tables and texts to standard output.

    On a terminal they fit its width, wrapped and never cut off. Elsewhere lines are as long as they need to be, without
    colours and without trailing blanks.
    """
    if sys.stdout.isatty():
        console = Console(highlight=False, markup=False, emoji=False)
        for part in parts:
            console.print(part, soft_wrap=False)
        return
    sink = io.StringIO()
    console = Console(file=sink, width=_UNLIMITED, highlight=False, markup=False, emoji=False, color_system=None)
    for part in parts:
        console.print(part)
    for line in sink.getvalue().splitlines():
        click.echo(line.rstrip())


def console() -> Console:
    """A console for lines that appear one by one; in a pipe they are as long as they need to be."""
    if sys.stdout.isatty():
        return Console(highlight=False, emoji=False)
    return Console(width=_UNLIMITED, highlight=False, emoji=False, color_system=None)
