"""The look of every table this program prints: calm, without borders, and complete at any width."""

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table

_LEAST = 16
"""Characters that a wrapping column should have, or the kept columns must wrap too."""


class PlainTable(Table):
    """A table without borders. Long cells wrap; those of ``kept`` columns only when there is no room at all."""

    def __init__(self, *columns: str, kept: tuple[str, ...] = ()) -> None:
        super().__init__(*columns, box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        self._kept = kept
        for column in self.columns:
            column.overflow = "fold"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        kept = [column for column in self.columns if column.header in self._kept]
        gaps = 2 * (len(self.columns) - 1)
        need = sum(
            max(Measurement.get(console, options, cell).maximum for cell in (column.header, *column.cells))
            for column in kept
        )
        fits = need + gaps + _LEAST * (len(self.columns) - len(kept)) <= options.max_width
        for column in kept:
            column.no_wrap = fits  # rich cuts an unwrapped cell that does not fit
        yield from super().__rich_console__(console, options)
