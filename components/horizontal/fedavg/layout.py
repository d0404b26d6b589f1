"""Parameters as one vector, and which of them leave a client.

Batch normalisation (FedBN) and the layers named in ``keep_local`` stay: they are no part of the vector.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Layout:
    """Names and shapes in the vector's order (sorted by name)."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> int:
        """Entries of the vector."""
        return sum(int(np.prod(shape)) for shape in self.shapes)


def layout_of(params: Mapping[str, Any], local: tuple[str, ...] = ()) -> Layout:
    """The layout of everything but the ``local`` layers (a layer is meant by the beginning of its name)."""
    names = tuple(name for name in sorted(params) if not is_local(name, local))
    return Layout(names, tuple(tuple(params[name].shape) for name in names))


def row_numbers(shapes: Iterable[Sequence[int]]) -> np.ndarray:
    """Of each entry of the vector the number of the row that it is part of: int64, shape (d,).

    A row of a kernel is all that one input adds to its layer, so most of a row's gradient norm is there or not as a
    whole. Each entry of a bias, and of a kernel with a single output, is a row of its own.

    Args:
        shapes: in the vector's order.
    """
    found, first = [np.zeros(0, np.int64)], 0
    for shape in shapes:
        size, width = int(np.prod(shape)), int(shape[-1]) if len(shape) > 1 else 1
        found.append(first + np.arange(size) // width)
        first += size // width
    return np.concatenate(found)


def is_local(name: str, local: tuple[str, ...]) -> bool:
    """Whether the parameter ``layer/.../name`` belongs to one of the ``local`` layers."""
    return any(part.startswith(prefix) for part in name.split("/")[:-1] for prefix in local)


def flatten(params: Mapping[str, Any], layout: Layout) -> np.ndarray:
    """Vector of shape ``(layout.size,)``, float32."""
    # In numpy: JAX compiles a program for each operation that stands by itself, a tenth of a second at every party.
    parts = [np.ravel(params[name]) for name in layout.names]
    return np.concatenate(parts).astype(np.float32, copy=False) if parts else np.zeros(0, np.float32)


def unflatten(vector: Any, layout: Layout) -> dict[str, Any]:
    """The inverse of `flatten`: parts of ``vector``, which may be numpy's or, in a compiled program, JAX's."""
    found, at = {}, 0
    for name, shape in zip(layout.names, layout.shapes, strict=True):
        size = int(np.prod(shape))
        found[name] = vector[at : at + size].reshape(shape)
        at += size
    return found
