"""Plain values -> typed header and nodes, as many as are well formed; the rest become problems."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from veilflow.pipelines.spec.document import Document
from veilflow.pipelines.spec.model import NAME_PATTERN, NAME_RULE, Device, Header, Node, default_devices
from veilflow.pipelines.spec.problem import Path, did_you_mean, listed
from veilflow.pipelines.spec.values import described


@dataclass
class Draft:
    """What could be read of a file, well formed or not."""

    header: Header | None = None
    parties: tuple[str, ...] = ()
    """Also when the header has problems elsewhere; empty when not even this could be read."""
    devices: Mapping[str, Device] | None = None
    """None when it could not be read."""
    nodes: dict[str, Node] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    """All nodes by name, malformed ones too."""


def read(document: Document) -> Draft:
    """The typed parts of ``document``; problems go to the document."""
    data = document.data
    if not isinstance(data, dict):
        if not document.problems:
            document.problem((), f"expected a mapping with version, name, parties and nodes, got {described(data)}")
        return Draft()
    draft = Draft()
    _read_header(document, {key: value for key, value in data.items() if key != "nodes"}, draft)
    _read_nodes(document, data, draft)
    return draft


def _read_header(document: Document, data: dict[str, Any], draft: Draft) -> None:
    draft.header = _validated(Header, data, document, ())
    if draft.header is not None:
        draft.parties = draft.header.parties
        found = draft.header.devices
        draft.devices = default_devices(draft.parties) if found is None else found
    elif isinstance(data.get("parties"), list) and all(isinstance(name, str) for name in data["parties"]):
        draft.parties = tuple(data["parties"])
        if "devices" not in data and len(set(draft.parties)) == len(draft.parties):
            draft.devices = default_devices(draft.parties)


def _read_nodes(document: Document, data: dict[str, Any], draft: Draft) -> None:
    nodes = data.get("nodes")
    if not isinstance(nodes, dict) or not nodes:
        if "nodes" not in data:
            document.problem((), "'nodes' is missing: a mapping of step names to steps")
        elif isinstance(nodes, dict) or nodes is None:
            document.problem(("nodes",), "there are no nodes; add at least one step")
        else:
            document.problem(("nodes",), f"expected a mapping of step names to steps, got {described(nodes)}")
        return
    draft.names = tuple(nodes)
    for name, raw in nodes.items():
        path: Path = ("nodes", name)
        if not re.fullmatch(NAME_PATTERN.strip("^$"), name):
            document.problem(path, NAME_RULE)
        node = _validated(Node, raw, document, path)
        if node is not None:
            draft.nodes[name] = node


def _validated(model: type[BaseModel], raw: Any, document: Document, path: Path) -> Any:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        for detail in error.errors():
            _report(model, detail, document, path)
        return None


def _report(model: type[BaseModel], detail: Any, document: Document, path: Path) -> None:
    where: Path = tuple(step for step in detail["loc"] if step != "[key]")
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        document.problem((*path, *where[:-1]), f"'{where[-1]}' is missing{_purpose(model, where)}")
        return
    document.problem((*path, *where), _message(model, where, kind, context, detail))


def _message(model: type[BaseModel], where: Path, kind: str, context: Any, detail: Any) -> str:
    value = detail["input"]
    if kind == "extra_forbidden":
        keys = _keys(_owner(model, where))
        return "unknown key" + (did_you_mean(str(where[-1]), keys) or f"; there are {listed(keys)}")
    if kind == "string_pattern_mismatch":
        return f"'{value}' is not a name: {NAME_RULE}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        choices = [str(choice) for choice in _choices(model, where)]
        hint = did_you_mean(str(value), choices)
        return f"expected {' or '.join(choices)}, got {described(value)}{hint}"
    if kind in _BOUNDS:
        word, key = _BOUNDS[kind]
        return f"must be {word} {context[key]}, got {value}"
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, got {described(value)}"
    return str(detail["msg"])


_BOUNDS = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_PURPOSES = {
    "version": ": write version: 1",
    "name": ": what this pipeline is called",
    "parties": ": a list of the organisations that take part",
    "uses": ": the component to run, as domain/name",
    "kind": ": spu or heu",
}


def _purpose(model: type[BaseModel], where: Path) -> str:
    if where[0] == "devices" and where[-1] == "parties":
        return ": a list of the parties that form the device"
    return _PURPOSES.get(str(where[-1]), "")


def _owner(model: type[BaseModel], where: Path) -> type[BaseModel]:
    return Device if model is Header and where[0] == "devices" and len(where) > 1 else model


def _keys(model: type[BaseModel]) -> list[str]:
    keys = [info.alias or name for name, info in model.model_fields.items()]
    return [*keys, "nodes"] if model is Header else keys


def _choices(model: type[BaseModel], where: Path) -> tuple[Any, ...]:
    annotation: Any = _owner(model, where).model_fields[str(where[-1])].annotation
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next(get_args(part) for part in get_args(annotation) if get_origin(part) is Literal)
