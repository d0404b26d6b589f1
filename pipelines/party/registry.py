"""SecretFlow's live component registry, read as our plain `Definition`s.

Reads the metadata that SecretFlow's own `Reflector` reads, because its `ComponentDef` no longer says which Python name
a column attribute has, nor whether an attribute is a list.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from typing import Any, get_origin

from secretflow_spec import Registry
from secretflow_spec.core.definition import Definition as SfDefinition
from secretflow_spec.core.definition import FieldKind, Interval

from veilflow.components.platforms import PARSE_LOCK
from veilflow.pipelines.catalog.definition import Attribute, Bound, Definition, Input, Output

_MAKERS = {"spu_facts": "spu", "make_spu": "spu", "make_spus": "spu", "make_heu": "heu", "make_heus": "heu"}
_ATOMS = {float: "float", int: "int", str: "string", bool: "bool"}


@cache
def load() -> None:
    """Import SecretFlow's components and every installed plugin, once per process."""
    from secretflow.component.core import load_plugins

    load_plugins()


def definitions() -> list[Definition]:
    """Every registered component, sorted by id."""
    load()
    return sorted((read(found) for found in Registry.get_definitions()), key=lambda d: d.id)


def definition(component_id: str) -> Definition:
    """The component that SecretFlow would run for ``domain/name:version``, as that version shows it.

    Raises:
        KeyError: nothing of that name and major version is registered.
    """
    load()
    found = Registry.get_definition_by_id(component_id)
    if found is None:
        raise KeyError(f"no component '{component_id}' is registered in this process")
    return read(found).at(component_id.rsplit(":", 1)[1])


def read(found: SfDefinition) -> Definition:
    """One registered component as a plain `Definition`."""
    io = found.component_def
    return Definition(
        id=found.component_id,
        module=found.component_cls.__module__,
        doc=found.desc.strip(),
        inputs=tuple(_input(entry) for entry in io.inputs),
        outputs=tuple(Output(entry.name, tuple(entry.types), entry.desc, **_life(entry)) for entry in io.outputs),
        attributes=tuple(_attributes(found.component_cls)),
        devices=_devices(found.component_cls),
    )


def _input(entry: Any) -> Input:
    return Input(
        name=entry.name,
        types=tuple(entry.types),
        doc=entry.desc,
        optional=entry.is_optional,
        variable=entry.is_variable,
        min_items=entry.variable_min,
        max_items=entry.variable_max if entry.is_variable and entry.variable_max >= 0 else None,
        **_life(entry),
    )


def _life(entry: Any) -> dict[str, Any]:
    return {"since": entry.minor_min, "until": None if entry.minor_max == -1 else entry.minor_max}


def _attributes(cls: type, prefix: str = "") -> Iterator[Attribute]:
    for field in cls.__dataclass_fields__.values():  # type: ignore[attr-defined]
        meta = field.metadata.get("md")
        if meta is not None and meta.kind not in (FieldKind.Input, FieldKind.Output):
            # Not `meta.fullname`: where two components share a class of attributes, it names the one read last.
            yield from _attribute(meta, f"{prefix}{field.name}")


def _attribute(meta: Any, path: str) -> Iterator[Attribute]:
    common: dict[str, Any] = {"path": path, "doc": meta.desc or "", **_life(meta)}
    if meta.kind == FieldKind.StructAttr:
        yield Attribute(type="struct", **common)
        yield from _attributes(meta.type, f"{path}/")
    elif meta.kind == FieldKind.UnionAttr:
        yield Attribute(type="union", default=meta.default, choices=tuple(meta.choices), **common)
        yield from _selections(meta, path) if meta.type is str else _attributes(meta.type, f"{path}/")
    elif meta.kind == FieldKind.SelectionAttr:
        yield Attribute(type="choice", **common)
    elif meta.kind == FieldKind.CustomAttr:
        yield Attribute(type="protobuf", required=True, protobuf=meta.type.DESCRIPTOR.full_name, **common)
    elif meta.kind in (FieldKind.PartyAttr, FieldKind.TableColumnAttr):
        yield _names(meta, common)
    else:
        yield _atom(meta, common)


def _selections(meta: Any, path: str) -> Iterator[Attribute]:
    for choice in meta.selections.values():
        yield Attribute(f"{path}/{choice.name}", "choice", (choice.desc or "").strip(), **_life(choice))


def _names(meta: Any, common: dict[str, Any]) -> Attribute:
    many = get_origin(meta.type) is list
    low, high = _items(meta.list_limit) if many else (0 if meta.is_optional else 1, 1)
    columns = meta.kind == FieldKind.TableColumnAttr
    wire = ""
    if columns and "/" not in common["path"]:
        wire = f"input/{meta.input_name}/{meta.name.removeprefix(meta.input_name + '_')}"
    return Attribute(
        type="columns" if columns else "party",
        many=many,
        required=not meta.is_optional,
        min_items=low,
        max_items=high,
        wire=wire,
        table=meta.input_name or "",
        **common,
    )


def _atom(meta: Any, common: dict[str, Any]) -> Attribute:
    many = get_origin(meta.type) is list
    kind = meta.type.__args__[0] if many else meta.type
    low, high = _items(meta.list_limit) if many else (0, None)
    limit = meta.bound_limit or Interval()
    return Attribute(
        type=_ATOMS[kind],
        many=many,
        required=not meta.is_optional,
        default=meta.default,
        choices=tuple(meta.choices or ()),
        lower=None if limit.lower is None else Bound(limit.lower, limit.lower_closed),
        upper=None if limit.upper is None else Bound(limit.upper, limit.upper_closed),
        min_items=low,
        max_items=high,
        **common,
    )


def _items(limit: Interval | None) -> tuple[int, int | None]:
    if limit is None:
        return 0, None
    return int(limit.lower or 0), None if limit.upper is None else int(limit.upper)


@cache
def _devices(cls: type) -> tuple[str, ...]:
    """Kinds of device that some method of ``cls`` creates whatever its parameters are (calls outside any ``if``)."""
    kinds: set[str] = set()
    for base in cls.__mro__:
        if base.__module__.split(".", 1)[0] in ("builtins", "abc", "secretflow_spec"):
            continue
        for method in _source(base).body:
            if isinstance(method, ast.FunctionDef):
                kinds.update(_unconditional(method.body))
    return tuple(sorted(kinds))


def _source(cls: type) -> ast.ClassDef:
    try:
        text = textwrap.dedent(inspect.getsource(cls))
    except OSError:  # compiled, or typed at a prompt: nothing is known, so nothing is demanded
        text = f"class {cls.__name__}: pass"
    with PARSE_LOCK:
        found = ast.parse(text).body[0]
    assert isinstance(found, ast.ClassDef)
    return found


def _unconditional(body: list[ast.stmt]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, (ast.If, ast.FunctionDef, ast.For, ast.While, ast.Match)):
            continue
        if isinstance(statement, (ast.With, ast.Try)):
            yield from _unconditional(statement.body)
            continue
        for call in ast.walk(statement):
            if isinstance(call, ast.Call):
                name = getattr(call.func, "attr", getattr(call.func, "id", ""))
                if name in _MAKERS:
                    yield _MAKERS[name]
