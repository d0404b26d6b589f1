"""YAML text -> plain values, with the line of every key and list item.

The text is composed into a node graph (ruamel, YAML 1.2) and built from that, not loaded, so that everything wrong is
found in one go: a loader stops at the first duplicate key.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from veilflow.pipelines.spec.problem import Path, Problem

_TAG = "tag:yaml.org,2002:"
_TEXT = {_TAG + "str", _TAG + "timestamp"}
"""Dates stay text: no component takes a date."""
_PLAIN = {_TAG + "int", _TAG + "float", _TAG + "bool", _TAG + "null"}
_MOST_VALUES = 100_000


@dataclass
class Document:
    """The values of a file, where each stands, and what was wrong with the text itself."""

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    options: dict[Path, str] = field(default_factory=dict)
    """Paths that a ``--set`` option wrote, and that option."""
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: Path, message: str) -> None:
        """Add a problem at ``path``, or at its nearest parent that has a line."""
        option = next((self.options[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.options), None)
        line = next((self.lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.lines), None)
        self.problems.append(Problem(message, path, line, option))


def parse(raw: bytes) -> Document:
    """Read the bytes of a pipeline file; never raises, see `Document.problems`."""
    document = Document()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        document.problems.append(Problem("not UTF-8 text; save the file as UTF-8", line=line))
        return document
    try:
        root = compose(text)
    except (YAMLError, RecursionError) as error:
        document.problems.append(_syntax(error, text))
        return document
    if root is None:
        document.problems.append(Problem("the file is empty; a pipeline has version, name, parties and nodes", line=1))
    else:
        document.data = _Builder(document).build(root, ())
    return document


def parse_value(text: str) -> Any:
    """The value of a ``--set`` option: any YAML value, an empty one being the empty text.

    Raises:
        ValueError: not YAML; the message says what to do.
    """
    document = Document()
    try:
        root = compose(text)
    except (YAMLError, RecursionError):
        raise ValueError("the value is not valid YAML; put it in quotes: '\"...\"'") from None
    value = "" if root is None else _Builder(document).build(root, ())
    if document.problems:
        raise ValueError(document.problems[0].message)
    return value


def compose(text: str) -> Node | None:
    """ruamel's node graph of ``text``; None where there is no document."""
    root: Node | None = YAML(typ="safe", pure=True).compose(text)
    return root


def _syntax(error: Exception, text: str) -> Problem:
    if isinstance(error, RecursionError):
        return Problem("nested too deeply to read")
    mark = getattr(error, "problem_mark", None) if isinstance(error, MarkedYAMLError) else None
    if mark is None:  # a ReaderError: characters that YAML does not allow
        position = getattr(error, "position", None)
        line = None if position is None else text[:position].count("\n") + 1
        return Problem("a character that YAML does not allow; remove it", line=line)
    line = mark.line + 1
    source = text.splitlines()[mark.line] if mark.line < len(text.splitlines()) else ""
    if "\t" in source[: len(source) - len(source.lstrip())] or source[mark.column : mark.column + 1] == "\t":
        return Problem("a tab; YAML is indented with spaces only", line=line)
    said, context = str(getattr(error, "problem", "")), str(getattr(error, "context", ""))
    return Problem(f"not valid YAML: {f'{context} {said}' if said.startswith('but ') else said}", line=line)


class _Builder:
    """Builds values from nodes, noting lines; problems go to the document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._scalars = YAML(typ="safe", pure=True).constructor
        self._open: set[int] = set()
        self._values = 0

    def build(self, node: Node, path: Path) -> Any:
        self._document.lines.setdefault(path, node.start_mark.line + 1)
        self._values += 1
        if id(node) in self._open or self._values > _MOST_VALUES:
            if self._values <= _MOST_VALUES + 1:
                self._document.problem(path, "an alias that repeats itself; write the value out")
            return None
        self._open.add(id(node))
        try:
            return self._value(node, path)
        finally:
            self._open.discard(id(node))

    def _value(self, node: Node, path: Path) -> Any:
        if isinstance(node, MappingNode) and node.tag == _TAG + "map":
            return dict(self._entries(node, path))
        if isinstance(node, SequenceNode) and node.tag == _TAG + "seq":
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, ScalarNode) and node.tag in _TEXT:
            return node.value
        if isinstance(node, ScalarNode) and node.tag in _PLAIN:
            try:
                return self._scalars.construct_object(node, deep=True)
            except ValueError:
                pass
        self._document.problem(
            path, f"the YAML tag {str(node.tag).replace(_TAG, '!!')} is not supported; write a plain value"
        )
        return None

    def _entries(self, node: MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        first: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, ScalarNode) or key.tag not in _TEXT:
                self._bad_key(key, path, line)
                continue
            name = key.value
            if name in first:
                message = f"'{name}' is here a second time, first on line {first[name]}; keep one"
                self._document.problems.append(Problem(message, (*path, name), line))
                continue
            first[name] = line
            inner: Path = (*path, name)
            self._document.lines[inner] = line
            yield name, self.build(value, inner)

    def _bad_key(self, key: Node, path: Path, line: int) -> None:
        if key.tag == _TAG + "merge":
            message = "merge keys (<<) are not supported; write the entries out"
        else:
            shown = f" '{key.value}'" if isinstance(key, ScalarNode) else ""
            message = f"the key{shown} is not text; put quotes around it"
        self._document.problems.append(Problem(message, path, line))
