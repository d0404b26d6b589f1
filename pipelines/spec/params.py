"""`with:` of a node <-> SecretFlow's flat attributes.

Flat means ``a/b`` -> value. A union's own path holds the name of its choice; only the chosen branch appears. Lists are
Python lists; a party or a column is a string, several are a list.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from veilflow.pipelines.catalog import Attribute, Definition
from veilflow.pipelines.spec.problem import Path, did_you_mean, listed
from veilflow.pipelines.spec.values import ValueProblem, bounds, converted, described, expected, not_a_choice

WIRE_KINDS = {
    ("float", False): "f",
    ("int", False): "i64",
    ("string", False): "s",
    ("bool", False): "b",
    ("float", True): "fs",
    ("int", True): "i64s",
    ("string", True): "ss",
    ("bool", True): "bs",
}


class ParameterError(ValueError):
    """Parameters do not fit a definition; ``problems`` are (path inside `with`, message) pairs."""

    def __init__(self, component: str, problems: list[tuple[Path, str]]) -> None:
        self.component = component
        self.problems = problems
        lines = [f"{' -> '.join(map(str, path))}: {message}" if path else message for path, message in problems]
        super().__init__(f"{component}: " + "; ".join(lines))

    def __reduce__(self) -> tuple[type, tuple[str, list[tuple[Path, str]]]]:
        return (ParameterError, (self.component, self.problems))


def flatten_params(definition: Definition, nested: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of ``nested``, flat and converted; what is left out stays out.

    Raises:
        ParameterError: with everything that is unknown, missing, of the wrong type or out of bounds.
    """
    flat, problems = read_params(definition, nested)
    if problems:
        raise ParameterError(definition.id, problems)
    return flat


def read_params(definition: Definition, nested: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[Path, str]]]:
    """`flatten_params` that goes on after a problem: what could be read, and (path inside `with`, message) pairs."""
    reader = _Reader(definition)
    reader.group("", dict(nested), ())
    return reader.flat, reader.problems


def active(definition: Definition, flat: Mapping[str, Any], path: str = "") -> Iterator[Attribute]:
    """The attributes that hold a value under ``flat``: all but those of branches that were not chosen."""
    for attribute in definition.children(path):
        yield from _active(definition, flat, attribute)


def _active(definition: Definition, flat: Mapping[str, Any], attribute: Attribute) -> Iterator[Attribute]:
    if attribute.type == "struct":
        yield from active(definition, flat, attribute.path)
    elif attribute.type == "union":
        yield attribute
        chosen = definition.attribute(f"{attribute.path}/{flat.get(attribute.path, attribute.default)}")
        if chosen is not None:
            yield from _active(definition, flat, chosen)
    elif attribute.type != "choice":
        yield attribute


def with_defaults(definition: Definition, flat: Mapping[str, Any]) -> dict[str, Any]:
    """``flat`` with the defaults of everything left out, in the definition's order; a list without default is []."""
    filled: dict[str, Any] = {}
    for attribute in active(definition, flat):
        if attribute.path in flat:
            filled[attribute.path] = flat[attribute.path]
        elif attribute.many:
            filled[attribute.path] = list(attribute.default or ())
        elif attribute.default is not None:
            filled[attribute.path] = attribute.default
    return filled


def to_attributes(definition: Definition, flat: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """(SecretFlow's path, field of `Attribute` to set, value) per parameter, in the definition's order.

    Raises:
        KeyError: a path that the definition does not have.
    """
    unknown = [path for path in flat if definition.attribute(path) is None]
    if unknown:
        raise KeyError(f"{definition.id} has no parameter {listed(unknown)}")
    found = []
    for attribute in definition.attributes:
        if attribute.path not in flat:
            continue
        value = flat[attribute.path]
        if attribute.type in ("party", "columns"):
            found.append((attribute.wire_path, "ss", list(value) if attribute.many else [value]))
        elif attribute.type in ("union", "protobuf"):
            found.append((attribute.wire_path, "s", value))
        else:
            found.append((attribute.wire_path, WIRE_KINDS[attribute.type, attribute.many], value))
    return found


class _Reader:
    """Walks `with` along the definition; collects values in ``flat`` and everything wrong in ``problems``."""

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self.flat: dict[str, Any] = {}
        self.problems: list[tuple[Path, str]] = []

    def group(self, path: str, values: dict[str, Any], at: Path) -> None:
        """The children of a struct, or the top level for an empty path."""
        children = {child.name: child for child in self._definition.children(path)}
        for name in values:
            if name not in children:
                self.problems.append(((*at, name), self._unknown(name, children)))
        for name, child in children.items():
            if name in values:
                self.attribute(child, values[name], (*at, name))
            elif child.type == "struct":
                self.group(child.path, {}, at)
            elif child.type == "union":
                self._branch(child, child.default, None, at)
            elif child.required:
                self.problems.append((at, f"parameter '{child.path}' is missing: {summary(child)}"))

    def attribute(self, attribute: Attribute, value: Any, at: Path) -> None:
        if attribute.type == "struct":
            if isinstance(value, dict):
                self.group(attribute.path, value, at)
            else:
                self.problems.append((at, f"expected a mapping of parameters, got {described(value)}"))
        elif attribute.type == "union":
            self._union(attribute, value, at)
        elif value is None:
            fix = "give one" if attribute.required else "leave it out for the default"
            self.problems.append((at, f"has no value; {fix}"))
        elif attribute.type == "protobuf":
            self._protobuf(attribute, value, at)
        else:
            try:
                self.flat[attribute.path] = converted(attribute, value)
            except ValueProblem as problem:
                self.problems.append((at if problem.index is None else (*at, problem.index), str(problem)))

    def _union(self, union: Attribute, value: Any, at: Path) -> None:
        names = listed(union.choices)
        if isinstance(value, dict):
            if len(value) != 1:
                self.problems.append((at, f"expected one choice of {names}, got {len(value)}"))
                return
            choice, inner = next(iter(value.items()))
            below: Path = (*at, choice)
        elif isinstance(value, str):
            choice, inner, below = value, None, at
        else:
            self.problems.append((at, f"expected one of {names}, got {described(value)}"))
            return
        if choice not in union.choices:
            self.problems.append((below, not_a_choice(union, choice)))
            return
        self.flat[union.path] = choice
        self._branch(union, choice, inner, below)

    def _branch(self, union: Attribute, choice: str, inner: Any, at: Path) -> None:
        chosen = self._definition.attribute(f"{union.path}/{choice}")
        if chosen is None or chosen.type == "choice":
            if inner not in (None, {}):
                self.problems.append((at, f"'{choice}' takes no parameters"))
        elif inner is not None:
            self.attribute(chosen, inner, at)
        elif chosen.type == "struct":
            self.group(chosen.path, {}, at)
        elif chosen.type == "union":
            self._branch(chosen, chosen.default, None, at)
        elif chosen.required:
            self.problems.append((at, f"parameter '{chosen.path}' is missing: {summary(chosen)}"))

    def _protobuf(self, attribute: Attribute, value: Any, at: Path) -> None:
        if isinstance(value, dict):
            self.flat[attribute.path] = json.dumps(value)
        elif isinstance(value, str):
            try:
                json.loads(value)
                self.flat[attribute.path] = value
            except ValueError:
                self.problems.append((at, "expected a mapping, or JSON in a text; this text is not JSON"))
        else:
            self.problems.append((at, f"expected a mapping, got {described(value)}"))

    def _unknown(self, name: str, children: Mapping[str, Attribute]) -> str:
        wire = next((a.path for a in self._definition.attributes if a.wire and a.wire == name), None)
        if wire:
            return f"unknown parameter; did you mean '{wire}'?"
        if self._definition.attribute(name):
            return f"unknown parameter; write it nested: {nested_form(name)}"
        if not children:
            return f"unknown parameter; {self._definition.key} takes none here"
        return "unknown parameter" + (did_you_mean(name, children) or f"; there are {listed(sorted(children))}")


def nested_form(path: str) -> str:
    """``a/b`` as it is written in YAML: ``a: {b: ...}``."""
    first, *rest = path.split("/")
    return f"{first}: " + "".join(f"{{{step}: " for step in rest) + "..." + "}" * len(rest)


def summary(attribute: Attribute) -> str:
    """What a parameter takes, in one line: ``a whole number, at least 1, for example 600``."""
    parts = [expected(attribute)]
    if attribute.choices:
        parts = [f"one of {listed([str(choice) for choice in attribute.choices])}"]
    if limits := bounds(attribute):
        parts.append(limits)
    if attribute.default is not None:
        parts.append(f"for example {attribute.default}")
    return ", ".join(parts)
