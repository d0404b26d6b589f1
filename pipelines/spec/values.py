"""Is a value of the file what an attribute takes? Strict: ``"3"`` is not 3, but 3 is fine for a float."""

import math
from collections.abc import Callable
from typing import Any

from veilflow.pipelines.catalog import Attribute
from veilflow.pipelines.spec.problem import did_you_mean

_INT64 = 2**63
_FLOAT32 = 3.4028234663852886e38
"""SecretFlow carries floats as 32 bits."""

EXPECTED = {
    "float": "a number",
    "int": "a whole number",
    "string": "text",
    "bool": "true or false",
    "party": "a party",
    "columns": "a column",
}
_MANY = {
    "float": "numbers",
    "int": "whole numbers",
    "string": "texts",
    "bool": "true or false",
    "party": "parties",
    "columns": "columns",
}


class ValueProblem(Exception):
    """A value does not fit; ``index`` is its position in a list, if it is in one."""

    def __init__(self, message: str, index: int | None = None) -> None:
        super().__init__(message)
        self.index = index


def expected(attribute: Attribute) -> str:
    """What the attribute takes, in words: ``a whole number``, ``a list of columns``."""
    if attribute.type == "protobuf":
        return "a mapping"
    return f"a list of {_MANY[attribute.type]}" if attribute.many else EXPECTED[attribute.type]


def described(value: Any) -> str:
    """A value as it is named in a message."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text '{value}'" if value else "an empty text"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    return "a mapping"


def converted(attribute: Attribute, value: Any) -> list[Any] | Any:
    """``value`` as SecretFlow will see it (ints of a float attribute become floats).

    Raises:
        ValueProblem: it does not fit.
    """
    if not attribute.many:
        if attribute.type in ("party", "columns") and isinstance(value, list):
            raise ValueProblem(f"takes one name, got a list of {len(value)}; write the name without brackets")
        return _one(attribute, value, None)
    if not isinstance(value, list):
        hint = f"; write [{value}]" if isinstance(value, (str, int, float)) else ""
        raise ValueProblem(f"expected {expected(attribute)}, got {described(value)}{hint}")
    _check_count(attribute, len(value))
    return [_one(attribute, entry, index) for index, entry in enumerate(value)]


def _check_count(attribute: Attribute, count: int) -> None:
    low, high = attribute.min_items, attribute.max_items
    if count < low or (high is not None and count > high):
        raise ValueProblem(f"takes {counted(low, high)}, got {count}")


def counted(low: int, high: int | None, what: str = "item") -> str:
    """``1 item``, ``at least 2 items``, ``2 to 4 items``."""
    if high is None:
        return f"at least {low} {what}{'' if low == 1 else 's'}"
    if low == high:
        return f"exactly {low} {what}{'' if low == 1 else 's'}"
    return f"{low} to {high} {what}s" if low else f"at most {high} {what}{'' if high == 1 else 's'}"


def _one(attribute: Attribute, value: Any, index: int | None) -> Any:
    try:
        value = _CONVERT[attribute.type](value)
        if attribute.type in ("int", "float"):
            _check_bounds(attribute, value)
        if attribute.choices and value not in attribute.choices:
            raise ValueProblem(not_a_choice(attribute, value))
    except ValueProblem as problem:
        raise ValueProblem(str(problem), index) from None
    return value


def not_a_choice(attribute: Attribute, value: Any) -> str:
    """The message for a value outside ``attribute.choices``."""
    names = [str(choice) for choice in attribute.choices]
    return f"'{value}' is not one of {', '.join(names)}{did_you_mean(str(value), names)}"


def _check_bounds(attribute: Attribute, value: float) -> None:
    low, high = attribute.lower, attribute.upper
    too_low = low is not None and (value < low.value or (value == low.value and not low.closed))
    too_high = high is not None and (value > high.value or (value == high.value and not high.closed))
    if too_low or too_high:
        raise ValueProblem(f"must be {bounds(attribute)}, got {value}")


def bounds(attribute: Attribute) -> str:
    """``at least 1``, ``above 0 and at most 1``; empty without bounds."""
    parts = []
    if attribute.lower is not None:
        parts.append(f"{'at least' if attribute.lower.closed else 'above'} {attribute.lower.value:g}")
    if attribute.upper is not None:
        parts.append(f"{'at most' if attribute.upper.closed else 'below'} {attribute.upper.value:g}")
    return " and ".join(parts)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        hint = f'; put it in quotes: "{value}"' if type(value) in (int, float) else ""
        raise ValueProblem(f"expected text, got {described(value)}{hint}")
    return value


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueProblem(f"expected true or false, got {described(value)}")
    return value


def _int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        hint = f"; write {int(value)}" if isinstance(value, float) and value.is_integer() else _unquote(value, int)
        raise ValueProblem(f"expected a whole number, got {described(value)}{hint}")
    if not -_INT64 <= value < _INT64:
        raise ValueProblem("does not fit into 64 bits")
    return value


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueProblem(f"expected a number, got {described(value)}{_unquote(value, float)}")
    if not math.isfinite(value) or abs(value) > _FLOAT32:
        raise ValueProblem(f"expected a finite number of 32 bits, got {value}")
    return float(value)


def _unquote(value: Any, kind: type) -> str:
    if not isinstance(value, str):
        return ""
    try:
        kind(value)
    except ValueError:
        return ""
    return "; remove the quotes"


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "float": _float,
    "int": _int,
    "string": _text,
    "bool": _bool,
    "party": _text,
    "columns": _text,
}
