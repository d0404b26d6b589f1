"""Folders under a path that a shell reads as one word and nothing else.

SecretFlow's PSI library makes `sort` and `uniq` commands of the paths it is given and hands them to a shell, unquoted:
a blank breaks them, and ``;`` or ``$(..)`` in the name of an output folder runs commands. Names cannot be quoted for it
from outside, so it gets none of them: a folder with other characters than `_PLAIN` is held open and reached through the
kernel's name for it, ``/proc/PROCESS/fd/NUMBER``. Nothing is written for that, and nothing is left when a process is
killed.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from veilflow.components.errors import ComponentError

_PLAIN = re.compile(r"[A-Za-z0-9_./-]+")
_held: dict[tuple[int, str], int] = {}
"""(process, folder) -> its descriptor, of `lasting_path`."""


def is_plain(path: Path) -> bool:
    """Whether no character of ``path`` means anything to a shell."""
    return path.is_absolute() and _PLAIN.fullmatch(str(path)) is not None


@contextmanager
def plain_path(folder: Path) -> Iterator[Path]:
    """``folder`` (it exists) by a path that a shell reads as one word, valid until the context ends.

    Raises:
        ComponentError: this system has no ``/proc``, and the folder's own path has other characters.
    """
    own = folder.absolute()
    if is_plain(own):
        yield own
        return
    descriptor = _open(own)
    try:
        yield _named(descriptor, own)
    finally:
        os.close(descriptor)


def lasting_path(folder: Path) -> Path:
    """As `plain_path`, valid as long as this process lives; a folder is opened once."""
    own = folder.absolute()
    if is_plain(own):
        return own
    key = (os.getpid(), str(own))
    if key not in _held or not _same(_held[key], own):
        _held[key] = _open(own)
    return _named(_held[key], own)


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _named(descriptor: int, folder: Path) -> Path:
    path = Path(f"/proc/{os.getpid()}/fd/{descriptor}")
    if not path.exists() or not path.samefile(folder):
        raise ComponentError(
            "the path of the run's folder holds a blank or another character that a shell would read, and this system "
            "offers no other name for it: choose an output folder whose path has letters, digits, _, -, . and / only."
        )
    return path


def _same(descriptor: int, folder: Path) -> bool:
    """Whether the folder opened once is still the one with that name: a later run may have made a new one."""
    try:
        return os.path.samestat(os.fstat(descriptor), folder.stat())
    except OSError:
        return False
