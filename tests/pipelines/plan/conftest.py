"""Rendering a table to plain text."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console, RenderableType


@pytest.fixture
def plain() -> Callable[..., str]:
    """Render to text without trailing blanks, at a width."""

    def render(part: RenderableType, width: int = 500) -> str:
        sink = io.StringIO()
        Console(file=sink, width=width, color_system=None).print(part)
        return "".join(f"{line.rstrip()}\n" for line in sink.getvalue().splitlines())

    return render
