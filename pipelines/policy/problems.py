"""What pydantic objects to in a policy file, in words, at the line where it stands."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from veilflow.pipelines.policy.model import Allow, Components, Forbid, Policy, Require
from veilflow.pipelines.spec.document import Document
from veilflow.pipelines.spec.model import NAME_RULE
from veilflow.pipelines.spec.problem import Path, did_you_mean, listed
from veilflow.pipelines.spec.values import described

Model = TypeVar("Model", bound=BaseModel)

_SECTIONS: dict[str, type[BaseModel]] = {
    "forbid": Forbid,
    "allow": Allow,
    "components": Components,
    "require": Require,
}
_PURPOSES = {
    "version": ": write version: 1",
    "name": ": what this policy is called",
    "default": ": allow (what no rule forbids is allowed) or deny (every line needs an allow rule)",
    "reason": ": people read it when the rule bites",
    "protection": ": the name of a protection, such as noise or k_anonymity",
    "component": ": the steps that must have it, such as vertical/split_train",
}
_EXPECTED = {
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "is_instance_of": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "bool_type": "true or false",
    "int_type": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
}


def report(model: type[Model], data: Any, document: Document) -> Model | None:
    """The validated model, or None with the problems added to ``document``."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        seen: set[tuple[Path, str]] = set()
        for detail in error.errors():
            place, message = _place(detail, document), _message(detail)
            # Each choice of a union objects for itself: one objection is enough.
            if (place, message) not in seen and not (_of_union(detail, place) and place in {p for p, _ in seen}):
                document.problem(place, message)
            seen.add((place, message))
    return None


def _place(detail: Any, document: Document) -> Path:
    """Where in the file: pydantic adds names of union choices, which are no places."""
    where: Path = tuple(step for step in detail["loc"] if step != "[key]")
    if detail["type"] == "missing":
        return where[:-1]
    while where and where not in document.lines:
        where = where[:-1]
    return where


def _of_union(detail: Any, place: Path) -> bool:
    return len(detail["loc"]) > len(place) and detail["type"] in _EXPECTED


def _message(detail: Any) -> str:
    kind, value, where = detail["type"], detail["input"], detail["loc"]
    if kind == "missing":
        return f"'{where[-1]}' is missing{_PURPOSES.get(str(where[-1]), '')}"
    if kind == "extra_forbidden":
        keys = list(_owner(where).model_fields)
        return "unknown key" + (did_you_mean(str(where[-1]), keys) or f"; there are {listed(keys)}")
    if kind == "string_pattern_mismatch":
        return f"'{value}' is not a name: {NAME_RULE}"
    if kind == "string_too_short":
        return "an empty text matches nothing"
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind == "literal_error":
        choices = ["1"] if where[-1] == "version" else ["allow", "deny"]
        return f"expected {' or '.join(choices)}, got {described(value)}{did_you_mean(str(value), choices)}"
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, got {described(value)}"
    return str(detail["msg"])


def _owner(where: tuple[Any, ...]) -> type[BaseModel]:
    return _SECTIONS.get(str(where[0]), Policy) if len(where) > 1 else Policy
