"""Tables and coloured lines: rich on a terminal, plain and uncut text into a pipe. See `say`."""

import io
import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from veilflow.pipelines.cli.say import say
from veilflow.pipelines.visible import visible

_UNLIMITED = 100_000


class SafeConsole(Console):
    """A console that colours what it is told to, and obeys nothing that stands in a text."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def show(*parts: RenderableType) -> None:
    """Print tables and texts to standard output.

    On a terminal they fit its width, wrapped and never cut off. Elsewhere lines are as long as they need to be, without
    colours and without trailing blanks.
    """
    if sys.stdout.isatty():
        screen = console()
        for part in parts:
            screen.print(part, soft_wrap=False)
        return
    sink = io.StringIO()
    plain = SafeConsole(file=sink, width=_UNLIMITED, highlight=False, markup=False, emoji=False, color_system=None)
    for part in parts:
        plain.print(part)
    for line in sink.getvalue().split("\n")[:-1]:
        say(line.rstrip())


def console() -> Console:
    """A console for lines that appear one by one; in a pipe they are as long as they need to be."""
    if sys.stdout.isatty():
        return SafeConsole(highlight=False, markup=False, emoji=False)
    return SafeConsole(width=_UNLIMITED, highlight=False, markup=False, emoji=False, color_system=None)
