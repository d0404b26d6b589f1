"""A component's definition as plain frozen values, and the same as compact JSON.

Names follow SecretFlow's `ComponentDef`, with two things said outright that its protobuf leaves to convention: the
Python name of a column attribute (``input_ds_features``; on the wire ``input/input_ds/features``), and whether an
attribute holds a list (``many``).
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, NamedTuple, TypeVar

GROUPS = ("struct", "union", "choice")
"""Attribute types that hold no value of their own (`choice`), or whose value is the name of a choice (`union`)."""


class Bound(NamedTuple):
    """One end of an interval; ``closed`` when ``value`` itself is allowed."""

    value: float
    closed: bool


@dataclass(frozen=True)
class Input:
    """An input of a component."""

    name: str
    types: tuple[str, ...]
    """DistData types it takes, e.g. ``sf.table.individual``."""
    doc: str = ""
    optional: bool = False
    variable: bool = False
    """The last input may take several artifacts, between ``min_items`` and ``max_items`` (None: no limit)."""
    min_items: int = 0
    max_items: int | None = None
    since: int = 0
    until: int | None = None


@dataclass(frozen=True)
class Output:
    """An output of a component."""

    name: str
    types: tuple[str, ...]
    doc: str = ""
    since: int = 0
    until: int | None = None


@dataclass(frozen=True)
class Attribute:
    """A parameter of a component, or a group of them."""

    path: str
    """``a/b``: attribute ``b`` of the struct or union ``a``."""
    type: str
    """``float``, ``int``, ``string``, ``bool``, ``party``, ``columns``, ``protobuf``, or one of `GROUPS`."""
    doc: str = ""
    many: bool = False
    required: bool = False
    default: Any = None
    """None where there is no default. A union's default is the name of a choice."""
    choices: tuple[Any, ...] = ()
    """Allowed values; for a union the names of its choices."""
    lower: Bound | None = None
    upper: Bound | None = None
    min_items: int = 0
    max_items: int | None = None
    wire: str = ""
    """SecretFlow's path where it is not ``path``."""
    table: str = ""
    """For columns: the input whose columns are meant."""
    protobuf: str = ""
    """For protobuf: the message class."""
    since: int = 0
    until: int | None = None
    """First and last minor version of the component that has it."""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def wire_path(self) -> str:
        """The path under which SecretFlow expects the value."""
        return self.wire or self.path


@dataclass(frozen=True)
class Definition:
    """Everything known of a component before it is imported."""

    id: str
    """``domain/name:version``."""
    module: str
    """Importing this module registers the component."""
    doc: str = ""
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    """Parents stand before their children."""
    devices: tuple[str, ...] = ()
    """Kinds of device (``spu``, ``heu``) it cannot do without."""

    @property
    def key(self) -> str:
        """``domain/name``."""
        return self.id.split(":", 1)[0]

    @property
    def domain(self) -> str:
        return self.id.split("/", 1)[0]

    @property
    def version(self) -> str:
        return self.id.rsplit(":", 1)[1]

    def attribute(self, path: str) -> Attribute | None:
        """The attribute at ``path``, or None."""
        return next((attribute for attribute in self.attributes if attribute.path == path), None)

    def children(self, path: str = "") -> list[Attribute]:
        """Attributes directly under ``path``; the top level for an empty path."""
        depth = path.count("/") + 1 if path else 0
        prefix = f"{path}/" if path else ""
        return [a for a in self.attributes if a.path.startswith(prefix) and a.path.count("/") == depth]

    def at(self, version: str) -> "Definition":
        """The same component as its earlier ``version`` (same major, minor not above ours) would show it."""
        minor = int(version.split(".")[1])

        def alive(part: Input | Output | Attribute) -> bool:
            return part.since <= minor and (part.until is None or minor <= part.until)

        return replace(
            self,
            id=f"{self.key}:{version}",
            inputs=tuple(filter(alive, self.inputs)),
            outputs=tuple(filter(alive, self.outputs)),
            attributes=tuple(filter(alive, self.attributes)),
        )


def to_json(definition: Definition) -> dict[str, Any]:
    """A JSON-able mapping; fields at their defaults are left out."""
    plain: dict[str, Any] = _plain(definition)
    return plain


def from_json(raw: Mapping[str, Any]) -> Definition:
    """The inverse of `to_json`."""
    return Definition(
        id=raw["id"],
        module=raw["module"],
        doc=raw.get("doc", ""),
        inputs=tuple(_build(Input, entry) for entry in raw.get("inputs", ())),
        outputs=tuple(_build(Output, entry) for entry in raw.get("outputs", ())),
        attributes=tuple(_build(Attribute, entry) for entry in raw.get("attributes", ())),
        devices=tuple(raw.get("devices", ())),
    )


_Part = TypeVar("_Part", Input, Output, Attribute)


def _build(kind: type[_Part], raw: Mapping[str, Any]) -> _Part:
    values = dict(raw)
    for name in ("types", "choices"):
        if name in values:
            values[name] = tuple(values[name])
    for name in ("lower", "upper"):
        if name in values:
            values[name] = Bound(*values[name])
    return kind(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, (Definition, Input, Output, Attribute)):
        return {
            field.name: _plain(getattr(value, field.name))
            for field in fields(value)
            if field.default is MISSING or getattr(value, field.name) != field.default
        }
    if isinstance(value, (tuple, list)):
        return [_plain(entry) for entry in value]
    return value
