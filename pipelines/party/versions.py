"""Versions that must be equal at all parties, read from package metadata without importing anything."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = ("veilflow", "secretflow", "spu", "jax", "jaxlib", "flax", "optax", "numpy", "pandas")


def versions() -> dict[str, str]:
    """Package name -> version, plus Python's."""
    return dict(_found())


@cache
def _found() -> dict[str, str]:
    import platform

    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found
