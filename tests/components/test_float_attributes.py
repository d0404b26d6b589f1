"""SecretFlow carries attributes as 32-bit floats: components take them through `decimal`, as their user wrote them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import veilflow.components
from veilflow.components.devices.attributes import decimal

ROOT = Path(veilflow.components.__file__).parent
FILES = sorted([*ROOT.rglob("component.py"), *ROOT.rglob("fields.py")])


def _floats(tree: ast.Module) -> set[str]:
    """Names of the attributes that a file declares as ``name: float = Field...``."""
    return {
        node.target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and ast.unparse(node.annotation) == "float"
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func).startswith("Field.")
    }


def _bare_reads(source: str) -> Iterator[str]:
    """Where ``self.x`` or ``self.group.x`` of such an attribute stands anywhere but directly in ``decimal(..)``."""
    tree = ast.parse(source)
    names = _floats(tree)
    wrapped = {
        id(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "decimal"
        for argument in node.args
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in names and isinstance(node.ctx, ast.Load):
            root = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id in ("self", "step") and id(node) not in wrapped:
                yield f"line {node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_component_reads_a_float_attribute_but_through_decimal(file: Path):
    assert list(_bare_reads(file.read_text())) == []


def test_the_search_sees_every_declaration_and_finds_a_bare_read():
    declared = sum(len(_floats(ast.parse(file.read_text()))) for file in FILES)
    listed = sum(": float = Field." in line for file in FILES for line in file.read_text().splitlines())
    assert declared == listed > 30
    source = "class A:\n    rate: float = Field.attr(desc='')\n    def f(self):\n        return {}"
    assert list(_bare_reads(source.format("self.rate * 2")))
    assert list(_bare_reads(source.format("float(self.group.rate)")))
    assert not list(_bare_reads(source.format("decimal(self.rate)")))


@pytest.mark.parametrize("number", [0.1, 0.2, 0.3, 0.7, 1e-5, 2.5, -0.7])
def test_decimal_gives_back_what_was_written(number: float):
    assert float(np.float32(number)) != number or number == 2.5
    assert decimal(float(np.float32(number))) == number
