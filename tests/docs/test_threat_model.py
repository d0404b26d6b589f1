"""docs/threat_model.md is true: every promise has a test, and every test that it names exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "threat_model.md").read_text()


def _section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def _promises() -> list[tuple[str, list[str]]]:
    rows = [line.strip("|").split("|") for line in _section("What is promised").splitlines() if line.startswith("|")]
    return [(promise.strip(), re.findall(r"`(tests/[^`]+)`", shown)) for promise, shown in rows[2:]]


NAMED = sorted({test for _, tests in _promises() for test in tests})


@pytest.mark.parametrize("promise, tests", _promises(), ids=lambda value: str(value)[:50])
def test_every_promise_has_a_test(promise, tests):
    assert promise
    assert tests


@pytest.mark.parametrize("name", NAMED)
def test_every_test_that_is_named_exists_and_is_not_skipped(name):
    path, _, function = name.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    found = {
        node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    assert found
    if function:
        assert function in found
        marks = " ".join(ast.unparse(each) for each in found[function].decorator_list)
        assert not re.search(r"skip|xfail", marks)


def test_the_page_names_what_is_not_promised():
    text = _section("What is not promised").lower()
    for limit in (
        "malicious member",
        "collusion",
        "traffic analysis",
        "timing",
        "compromised machine",
        "denial of service",
    ):
        assert limit in text


def test_the_readme_leads_here():
    assert "(docs/threat_model.md)" in (ROOT / "README.md").read_text()
