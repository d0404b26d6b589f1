"""numpy objects as plain parts on the wire.

numpy's own pickles name `ndarray` and `dtype`. Called by a stranger those are memory errors: `ndarray(1, "O", buffer)`
takes eight bytes for a pointer, and a dtype's state may lay a field outside of its item. So neither is on the decoder's
list. These functions are; they build from bytes, the text of a dtype and a shape, and check that the three agree.
"""

import math
from pickle import PickleBuffer  # noqa: TID251 - a view of memory; unpickles nothing
from typing import Any

import numpy as np

_KINDS = "biufcmMUS"
"""Numbers, times and fixed-length text: cells without pointers and without inner structure."""
_TEXT = 32
"""Longest text of a dtype; `<M8[25s/365]` and the like stay below."""


def reduce_numpy(value: Any) -> Any:
    """How `pickle` shall write ``value``; `NotImplemented` for everything that is not numpy's."""
    if type(value) is np.ndarray:
        if value.dtype.hasobject:
            return restore_objects, (value.ravel().tolist(), value.shape)
        return restore_array, (*_cells(value), _dtype_text(value.dtype), value.shape)
    if isinstance(value, np.generic):
        return restore_scalar, (value.tobytes(), _dtype_text(value.dtype))
    if isinstance(value, np.dtype):
        return restore_dtype, ("|O" if value.hasobject and value.names is None else _dtype_text(value),)
    return NotImplemented


def restore_array(cells: Any, order: str, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """A view of ``cells``: a writable one where ``cells`` is."""
    found = _plain(dtype)
    _require_shape(shape)
    view = memoryview(cells)
    if math.prod(shape) * found.itemsize != view.nbytes:
        raise ValueError("cells, dtype and shape of an array do not agree")
    if order not in ("C", "F"):
        raise ValueError("an array's order is C or F")
    if not view.nbytes:
        return np.empty(shape, found)
    return np.frombuffer(view, dtype=found).reshape(shape, order=order)  # type: ignore[call-overload, no-any-return]


def restore_objects(cells: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    """An array of Python objects, each of them decoded by the same rules."""
    _require_shape(shape)
    if type(cells) is not list or math.prod(shape) != len(cells):
        raise ValueError("cells and shape of an object array do not agree")
    made = np.empty(len(cells), dtype=object)
    for at, cell in enumerate(cells):
        made[at] = cell
    return made.reshape(shape)


def restore_scalar(cell: bytes, dtype: str) -> np.generic:
    """One number, time or text of numpy's."""
    return restore_array(cell, "C", dtype, (1,))[0]  # type: ignore[no-any-return]


def restore_dtype(text: str) -> np.dtype:
    """A dtype as a value of its own: metadata of devices hold some."""
    return np.dtype(object) if text == "|O" else _plain(text)


def _cells(value: Any) -> tuple[PickleBuffer, str]:
    if value.dtype.kind in "mM":  # buffers know no times
        value = value.view(np.int64)
    if value.flags.c_contiguous:
        return PickleBuffer(value), "C"
    if value.flags.f_contiguous:
        return PickleBuffer(value.T), "F"
    dense: Any = np.ascontiguousarray(value)
    return PickleBuffer(dense), "C"


def _dtype_text(dtype: np.dtype) -> str:
    if dtype.kind not in _KINDS or not dtype.itemsize:
        raise TypeError(f"cells of kind {dtype.kind}")
    return str(dtype.str)


def _plain(text: Any) -> np.dtype:
    if type(text) is not str or not 3 <= len(text) <= _TEXT or text[0] not in "<>|" or text[1] not in _KINDS:
        raise ValueError("not a plain dtype")
    found = np.dtype(text)
    if found.kind not in _KINDS or not found.itemsize or found.names is not None or found.subdtype is not None:
        raise ValueError("not a plain dtype")
    return found


def _require_shape(shape: Any) -> None:
    if type(shape) is not tuple or not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError("a shape is a tuple of counts")
