"""Everything that differs between the library versions VeilFlow runs on, in this one file.

Two environments are tested: the lock of this project (CPython 3.11, SPU 0.10, JAX 0.8, numpy 2, pandas 2), and
SecretFlow 1.14.0b0 as it comes (CPython 3.10, SPU 0.9.4, JAX 0.4.26, numpy 1.26, pandas 1.5). Imports nothing heavy:
every interpreter of an environment with our wheel reads this file at its start (see `name_spu_logging`).
"""

import contextlib
import importlib.abc
import importlib.machinery
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

PARSE_LOCK = threading.Lock()
"""To be held around `ast.parse`: before CPython 3.11.8 two threads that parse at once can crash (gh-106905)."""

_WORTH_KEEPING_SECONDS = 0.05
"""What compiles faster is not kept. JAX keeps what takes a second and more, unless it is told otherwise."""
_MOST_KEPT_BYTES = 256 << 20


def array_names() -> frozenset[tuple[str, str]]:
    """Module and name under which numpy and JAX pickle what SecretFlow's objects hold, for the versions installed."""
    numpy_2 = _major("numpy") >= 2
    home = "numpy._core" if numpy_2 else "numpy.core"
    shape_home = "jax._src.core" if _release("jax") >= (0, 5) else "jax._src.api"
    return frozenset(
        {
            ("numpy", "bool" if numpy_2 else "bool_"),
            (f"{home}.multiarray", "scalar"),
            (f"{home}.multiarray", "_reconstruct"),
            (f"{home}.numeric", "_frombuffer"),
            (shape_home, "ShapeDtypeStruct"),
        }
    )


def name_spu_logging() -> None:
    """Make `spu.logging` exist when `spu` is imported: SecretFlow 1.14.0b0 reads it, SPU 0.10 no longer exports it.

    Called by `veilflow.pth` at the start of every interpreter, so that the commands `secretflow` and `comp_eval` work
    from a plain shell, too. Does nothing where `spu` has the name, and costs nothing until `spu` is imported. The .pth
    line leaves no module of ours behind: pytest warns of a plugin's package that was imported before it.
    """
    if "spu" in sys.modules:
        _add_logging(sys.modules["spu"])
    elif not any(type(finder).__name__ == _SpuFinder.__name__ for finder in sys.meta_path):  # of the .pth's import
        sys.meta_path.insert(0, _SpuFinder())


@contextlib.contextmanager
def nothing_compiled() -> Iterator[None]:
    """While this holds, JAX has no backend: what computes with JAX at import fails instead of starting threads.

    A forkserver imports under it. The threads that JAX starts to compile do not survive a fork, and every party forked
    from a process that has them waits for ever. A third party's module that fails here is imported again by each party.
    """
    import jax

    _import_gaussian_process()
    platforms = jax.config.jax_platforms
    jax.config.update("jax_platforms", "none_while_forking")
    try:
        yield
    finally:
        jax.config.update("jax_platforms", platforms)


def keep_compiled_programs(folder: Path) -> None:
    """Let JAX keep what it compiles in ``folder``, so that the next short run of this party does not compile it again.

    JAX names an entry by program, versions and processor. Entries are machine code, so the folder must be this party's
    own, as its `.venv` is; they hold programs and never rows that are a program's arguments.
    """
    import jax

    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _WORTH_KEEPING_SECONDS)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # JAX's own bound on the folder needs a lock file package; programs of earlier versions are what fills it.
    kept = sorted(folder.glob("*"), key=lambda path: path.stat().st_mtime, reverse=True) if folder.is_dir() else []
    total = 0
    for path in kept:
        total += path.stat().st_size
        if total > _MOST_KEPT_BYTES:
            path.unlink(missing_ok=True)


def _import_gaussian_process() -> None:
    """SecretFlow's only module that computes with JAX while it is imported: two constants, which numpy can make."""
    import jax.numpy as jnp
    import numpy as np

    original: Any = jnp.array
    jnp.array = lambda values: np.asarray(values, np.float32)  # type: ignore[assignment, misc]
    try:
        with contextlib.suppress(ImportError):
            import sml.gaussian_process._gpc  # noqa: F401
    finally:
        jnp.array = original  # type: ignore[misc]


class _SpuFinder(importlib.abc.MetaPathFinder):
    """Finds `spu` as everybody else does, and adds the name right after the module was executed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "spu":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_name(module: ModuleType) -> None:
                execute(module)
                _add_logging(module)

            spec.loader.exec_module = execute_and_name  # type: ignore[method-assign]
        return spec


def _add_logging(spu: Any) -> None:
    if not hasattr(spu, "logging") and hasattr(spu, "libspu"):
        spu.logging = spu.libspu.logging


def _release(package: str) -> tuple[int, ...]:
    from importlib.metadata import version  # not for every interpreter

    return tuple(int(part) for part in version(package).split(".")[:2])


def _major(package: str) -> int:
    return _release(package)[0]
