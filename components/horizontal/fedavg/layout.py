"""Parameters as one vector, and which of them leave a client.

Batch normalisation (FedBN) and the layers named in ``keep_local`` stay: they are no part of the vector.
"""

from collections.abc import Mapping
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
