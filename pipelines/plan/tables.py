"""The look of every table this program prints: calm, without borders, and complete at any width."""

from rich.table import Table


def plain_table(*columns: str, kept: tuple[str, ...] = ()) -> Table:
    """A table without borders. Long cells wrap, those of ``kept`` columns never do; nothing is cut off."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in table.columns:
        column.overflow = "fold"
        column.no_wrap = column.header in kept
    return table
