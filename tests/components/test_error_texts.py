"""What travels when a component fails: texts of ours, never one that a library made of the data."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import veilflow.components
import veilflow.datasets
from veilflow.components.devices.pyu import Failed, guarded
from veilflow.components.errors import ComponentError

ROOTS = [Path(module.__file__).parent for module in (veilflow.components, veilflow.datasets)]
FILES = sorted(path for root in ROOTS for path in root.rglob("*.py"))
OURS = {"ComponentError", "SourceError", "InternalError"}
"""Their texts may go into another one's."""
SAYS_WHY = {"_why", "_why_no_link"}
"""Given a library's error, they let through a place in its source (devices/psi.py) or nothing (devices/link.py)."""


def _quoting(source: str) -> Iterator[str]:
    """Where an error of ours is made of the text of one that is not."""
    for handler in ast.walk(ast.parse(source)):
        if not isinstance(handler, ast.ExceptHandler) or handler.name is None or handler.type is None:
            continue
        caught = {ast.unparse(each).split(".")[-1] for each in getattr(handler.type, "elts", [handler.type])}
        if caught <= OURS:
            continue
        for call in ast.walk(handler):
            if isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[-1] in OURS:
                for argument in call.args:
                    yield from (f"line {call.lineno}: {found}" for found in _texts_of(argument, handler.name))


def _texts_of(node: ast.AST, name: str) -> Iterator[str]:
    if isinstance(node, ast.Call) and ast.unparse(node.func) in {"type", *SAYS_WHY}:
        return
    if isinstance(node, ast.Name) and node.id == name:
        yield ast.unparse(node)
    for child in ast.iter_child_nodes(node):
        yield from _texts_of(child, name)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_error_of_ours_quotes_a_librarys(file: Path):
    assert list(_quoting(file.read_text())) == []


def test_the_search_finds_one():
    source = "try:\n    f()\nexcept {} as error:\n    raise ComponentError(f'no: {{{}}}') from None"
    assert list(_quoting(source.format("ValueError", "error")))
    assert list(_quoting(source.format("(OSError, ComponentError)", "error.args[0]")))
    assert not list(_quoting(source.format("ValueError", "type(error).__name__")))
    assert not list(_quoting(source.format("SourceError", "error")))


def test_what_is_for_the_owner_goes_to_its_log_and_nowhere_else(caplog):
    def fail() -> None:
        raise ComponentError("'t.csv' has no header line.", own="its first line is CANARY")

    with pytest.raises(ComponentError, match=r"no header line. More about it is in hospital's own log") as caught:
        guarded("hospital", fail)()
    assert "CANARY" in caplog.text
    for travels in (Failed.of(caught.value, "hospital"), caught.value.__reduce__(), vars(caught.value)):
        assert "CANARY" not in repr(travels)
    unguarded = ComponentError("no header line", own="CANARY")
    assert "CANARY" not in repr(Failed.of(unguarded, "hospital"))
    kind, arguments, state = unguarded.__reduce__()  # what a pickle of it is made of
    assert (kind, arguments, state) == (ComponentError, ("no header line",), {"party": ""})
