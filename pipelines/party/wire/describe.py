"""What an object that crosses the wire looks like from outside: kind, type, shape, size. Never a value."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

_DEVICE_TYPES = {
    "CiphertextArray",
    "Executable",
    "FieldType",
    "PublicKey",
    "ProtocolKind",
    "SPUIOInfo",
    "SPUValueMeta",
    "ShapeDtypeStruct",
    "StringArray",
    "Visibility",
}
_SMALL = 1 << 20
_FAILURES = {"Failed", "RemoteFailure"}
_MAX_FAILURE = 1 << 14
"""Longest text of a failure."""
_MAX_DEPTH = 32
_MAX_LEAVES = 1 << 17


@dataclass(frozen=True)
class Seen:
    """An object's outside."""

    kind: str
    """``document``, ``array``, ``bytes``, ``bundle`` (a tree with arrays or bytes in it), ``device``, ``failure``, or
    ``other`` for what no step can declare."""
    dtype: str = ""
    shape: tuple[int, ...] = ()
    items: int = 1
    """Leaves of a tree."""
    size: int = 0
    """Bytes of arrays, bytes and text; 8 for every number."""
    name: str = ""
    """Type of an ``other``."""

    def __str__(self) -> str:
        if self.kind == "array":
            return f"{self.dtype} array of shape {list(self.shape)}"
        if self.kind == "document":
            return f"document of {self.items} item(s)"
        return f"{self.kind}{f' ({self.name})' if self.name else ''} of {self.size} bytes"


def describe(value: Any) -> Seen:
    """The outside of ``value``."""
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return Seen("array", str(value.dtype), value.shape, 1, value.nbytes)
    if isinstance(value, (bytes, bytearray)):
        return Seen("bytes", size=len(value))
    # A small message can stand for a tree of any size, by naming one list many times.
    leaves = list(islice(_leaves(value, 0), _MAX_LEAVES + 1))
    if len(leaves) > _MAX_LEAVES:
        return Seen("other", items=_MAX_LEAVES, name=f"tree of more than {_MAX_LEAVES} items")
    kinds = {kind for kind, _, _ in leaves} - {"key"}
    items, size = sum(kind != "key" for kind, _, _ in leaves), sum(size for _, size, _ in leaves)
    other = next((name for kind, _, name in leaves if kind == "other"), "")
    if other:
        return Seen("other", items=items, size=size, name=other)
    if kinds == {"failure"}:  # a failure next to values does not open the way for them
        return Seen("failure", items=items, size=size)
    if "device" in kinds:
        return Seen("device", items=items, size=size)
    return Seen("bundle" if kinds & {"array", "bytes"} else "document", items=items, size=size)


def is_finite(value: Any) -> bool:
    """Whether no float array in ``value`` holds NaN or an infinity. Numbers outside of arrays may be undefined."""
    return all(_finite(array) for array in _arrays(value))


def _finite(array: np.ndarray) -> bool:
    if array.dtype.kind not in "fc" or not array.size:
        return True
    if array.nbytes <= _SMALL:
        return bool(np.isfinite(array).all())
    with np.errstate(over="ignore", invalid="ignore"):
        total = array.sum()  # one pass without a copy; only a total that is not finite needs a closer look
    return bool(np.isfinite(total)) or bool(np.isfinite(array).all())


def _arrays(value: Any) -> Iterator[np.ndarray]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _arrays(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _arrays(each)


def _leaves(value: Any, depth: int) -> Iterator[tuple[str, int, str]]:
    if depth > _MAX_DEPTH:
        yield "other", 0, f"tree of more than {_MAX_DEPTH} levels"
    elif isinstance(value, dict):
        if not value:
            yield "document", 0, ""
        for key, each in value.items():
            # Keys carry data as well as values do: they count in bytes, not as items.
            yield ("key", _leaf(key)[1], "") if isinstance(key, (str, int)) else ("other", 0, type(key).__name__)
            yield from _leaves(each, depth + 1)
    elif isinstance(value, (list, tuple)):
        if not value:
            yield "document", 0, ""
        for each in value:
            yield from _leaves(each, depth + 1)
    else:
        yield _leaf(value)


def _leaf(value: Any) -> tuple[str, int, str]:
    name = type(value).__name__
    if isinstance(value, (bytes, bytearray)):
        return "bytes", len(value), ""
    if isinstance(value, str):
        return "document", len(value.encode("utf-8", "surrogatepass")), ""
    if isinstance(value, np.generic):
        return ("document", max(8, value.nbytes), "") if value.dtype.kind in "biufcmM" else ("other", 0, name)
    if value is None or isinstance(value, (bool, int, float)):
        return "document", 8 if not isinstance(value, int) else max(8, math.ceil(value.bit_length() / 8)), ""
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return "array", value.nbytes, ""
    if name in _DEVICE_TYPES:
        return "device", 0, ""
    if name in _FAILURES:
        return _failure(value)
    return "other", 0, name


def _failure(value: Any) -> tuple[str, int, str]:
    """A failure holds short texts and nothing else: it passes in every step."""
    texts = list(getattr(value, "__dict__", {"": None}).values())
    if all(type(text) is str for text in texts) and sum(map(len, texts)) <= _MAX_FAILURE:
        return "failure", 0, ""
    return "other", 0, f"{type(value).__name__} of unusual content"
