"""Text files are UTF-8 whatever the machine's language: nobody leaves the choice to the locale."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ASCII_ONLY = {
    "components/alignment/ledger/store.py": "JSON with escapes",
    "components/privacy/ledger.py": "JSON with escapes",
    "components/privacy/ledger_folder.py": "JSON with escapes",
}

_BYTES = ("os.open", "archive.open")
"""A descriptor; a member of a zip archive."""


def _places(source: str) -> Iterator[int]:
    """Lines that read or write text in the locale's encoding."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or any(word.arg in ("encoding", None) for word in node.keywords):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        whole = ast.unparse(node.func)
        texts = [
            each.value
            for each in (*node.args, *(word.value for word in node.keywords))
            if isinstance(each, ast.Constant)
        ]
        modes = [text for text in texts if isinstance(text, str) and text and set(text) <= set("rwaxbt+")]
        binary = any("b" in mode for mode in modes)
        reads = name in ("read_text", "write_text") and not whole.startswith("self.")
        opens = whole in ("open", "os.fdopen") or (name == "open" and modes and whole not in _BYTES)
        runs = whole.startswith("subprocess.") and any(word.arg == "text" for word in node.keywords)
        if reads or (opens and not binary) or runs:
            yield node.lineno


def test_no_package_code_depends_on_the_locale():
    found = []
    for folder in ("components", "datasets", "pipelines"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            place = path.relative_to(ROOT).as_posix()
            if place not in ASCII_ONLY and "bench" not in path.parts:
                found += [f"{place}:{line}" for line in _places(path.read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    "source",
    ["path.read_text()", "path.write_text(text)", "open(name)", "open(name, 'w')", "path.open('a')",
     "os.fdopen(h, 'w')", "subprocess.run(words, text=True)"],
)  # fmt: skip
def test_each_of_them_would_be_found(source):
    assert list(_places(source)) == [1]


@pytest.mark.parametrize(
    "source",
    ["path.read_text(encoding='utf-8')", "open(name, 'rb')", "path.open('wb')", "os.fdopen(h, 'wb')",
     "os.open(name, flags)", "gate.open({})", "path.open(mode='rb')"],
)  # fmt: skip
def test_what_is_fine_is_left_alone(source):
    assert list(_places(source)) == []
