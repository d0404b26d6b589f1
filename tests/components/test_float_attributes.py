"""Attributes travel as 32-bit floats: no component takes one as it comes, or 0.2 of 100 rows becomes 21 of them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import veilflow.components

FOLDER = Path(veilflow.components.__file__).parent
AREAS = ("application", "data", "horizontal", "vertical")
MODULES = [path for area in AREAS for path in sorted((FOLDER / area).glob("*/component.py"))]


def taken_as_they_come(source: str) -> Iterator[str]:
    """Uses of ``self.x`` for a float attribute ``x`` of a class that are no argument of `decimal`."""
    for kind in [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]:
        floats = {
            each.target.id
            for each in kind.body
            if isinstance(each, ast.AnnAssign) and ast.unparse(each.annotation) == "float"
        }
        safe = {
            id(argument)
            for call in ast.walk(kind)
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "decimal"
            for argument in call.args
        }
        taken = [node for node in ast.walk(kind) if isinstance(node, ast.Attribute) and id(node) not in safe]
        for node in taken:
            if ast.unparse(node.value) == "self" and node.attr in floats:
                yield f"{kind.name}.{node.attr}, line {node.lineno}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: "/".join(path.parts[-3:-1]))
def test_every_float_attribute_is_read_as_the_decimal_that_was_written(path: Path) -> None:
    assert list(taken_as_they_come(path.read_text())) == []


def test_one_that_is_not_is_found() -> None:
    source = "class Split:\n    share: float = 0.5\n    def f(self):\n        return decimal(self.share) + self.share\n"
    assert list(taken_as_they_come(source)) == ["Split.share, line 4"]
