"""The typed policy: frozen, strict, nothing unknown allowed, no rule that could not mean anything.

version: 1
name: no_labels
description: Labels stay where they are.
default: allow               # or deny: then every line of the disclosure table needs an allow rule
forbid:
  - kind: label
    reason: Diagnoses may not leave the hospital.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, FiniteFloat, StringConstraints, model_validator

from veilflow.components.claims import KINDS
from veilflow.pipelines.spec.model import Name, Strict
from veilflow.pipelines.spec.problem import did_you_mean

SELECTORS = ("kind", "to", "about", "component", "step")


def _several(value: Any) -> Any:
    """One text stands for a list of one."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _some(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise ValueError("an empty list matches nothing; name something, or leave the key out to match anything")
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f"'{value}' is listed twice")
    return values


def _known_kind(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"no kind '{kind}'{did_you_mean(kind, KINDS) or '; there are ' + ', '.join(KINDS)}")
    return kind


def _meaningful(text: str) -> str:
    if not text.strip():
        raise ValueError("the reason is empty; it is what people read when the rule bites")
    return " ".join(text.split())


Pattern = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""A name, or a glob: ``*`` for any characters, ``?`` for one."""
Patterns = Annotated[tuple[Pattern, ...], BeforeValidator(_several), AfterValidator(_some)]
Kinds = Annotated[
    tuple[Annotated[str, AfterValidator(_known_kind)], ...], BeforeValidator(_several), AfterValidator(_some)
]
Reason = Annotated[str, AfterValidator(_meaningful)]
Scalar = bool | int | FiniteFloat | str


class Selector(Strict):
    """Which lines of the disclosure table a rule is about: those that fit every key that is given."""

    kind: Kinds | None = None
    to: Patterns | None = None
    """Who learns."""
    about: Patterns | None = None
    """Whose data it is about."""
    component: Patterns | None = None
    step: Patterns | None = None

    @model_validator(mode="after")
    def _selects(self) -> "Selector":
        if all(getattr(self, name) is None for name in SELECTORS):
            raise ValueError(f"the rule does not say what it matches; add one of {', '.join(SELECTORS)}")
        return self


class Forbid(Selector):
    """Lines that may not stand in the disclosure table."""

    reason: Reason


class Allow(Selector):
    """Lines that may stand in it, where the default is to deny."""

    reason: Reason | None = None


class Components(Strict):
    """Which components may be used at all."""

    allow: Patterns | None = None
    """Nothing else may be used."""
    forbid: Patterns | None = None
    reason: Reason

    @model_validator(mode="after")
    def _says_something(self) -> "Components":
        if self.allow is None and self.forbid is None:
            raise ValueError("neither allow nor forbid; name components")
        return self


class Require(Strict):
    """A protection that every step of some component must have switched on."""

    protection: Pattern
    """Its name in the receipts, such as ``noise``."""
    component: Patterns
    """The steps it is about."""
    upstream: bool = False
    """Also look among the steps that feed it, directly or not."""
    at: Patterns | None = None
    """Parties at which it must be switched on; left out: anywhere."""
    at_least: Annotated[Mapping[str, FiniteFloat], Field(default_factory=dict)]
    at_most: Annotated[Mapping[str, FiniteFloat], Field(default_factory=dict)]
    equals: Annotated[Mapping[str, Scalar], Field(default_factory=dict)]
    reason: Reason


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class Policy(Strict):
    """What one policy file says."""

    version: Literal[1]
    name: Name
    description: str = ""
    default: Literal["allow", "deny"]
    forbid: Annotated[tuple[Forbid, ...], BeforeValidator(_listed)] = ()
    allow: Annotated[tuple[Allow, ...], BeforeValidator(_listed)] = ()
    components: Components | None = None
    require: Annotated[tuple[Require, ...], BeforeValidator(_listed)] = ()

    @model_validator(mode="after")
    def _coherent(self) -> "Policy":
        if self.default == "allow" and self.allow:
            raise ValueError("allow rules have no effect with default: allow; write default: deny, or remove them")
        if self.default == "allow" and not (self.forbid or self.components or self.require):
            raise ValueError("default: allow without any rule permits everything; add rules, or write default: deny")
        return self
