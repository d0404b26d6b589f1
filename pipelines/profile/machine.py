"""The machine a party runs on: temporary files, umask, environment.

SecretFlow, libpsi and pyarrow write joined rows to the temporary folder in the clear. A run therefore gets one of its
own below the party's folder, emptied before and after.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from veilflow.components.devices.shell_safe import lasting_path
from veilflow.pipelines.profile.violation import Violation

_NAME = "tmp"
_OTHERS = 0o077
_OTHERS_WRITE = 0o022


def private_tmp(folder: Path) -> Path:
    """Give this process, its C++ libraries included, an empty temporary folder of its own: ``folder/tmp``, mode 0700.

    What a killed run left there is removed: it may hold rows. The path given to them has no character that a shell
    reads (`shell_safe`): SecretFlow's own components hand it to one.
    """
    place = folder.resolve() / _NAME
    wipe_tmp(folder)
    place.mkdir(mode=0o700, parents=True)
    place.chmod(0o700)
    plain = str(lasting_path(place))
    os.environ["TMPDIR"] = plain  # os.environ calls setenv, so C++ sees it too
    tempfile.tempdir = plain  # gettempdir() may have remembered another
    return place


def wipe_tmp(folder: Path) -> None:
    """Remove ``folder/tmp`` and all in it; a link is removed, not followed."""
    place = folder.resolve() / _NAME
    if place.is_symlink() or place.is_file():
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)


@dataclass(frozen=True)
class FolderFacts:
    """Owner and mode of a folder, links followed; ``uid`` is -1 where it cannot be read."""

    path: Path
    uid: int
    mode: int


def read_folder(path: Path) -> FolderFacts:
    """Owner and mode of ``path``."""
    try:
        found = path.stat()
    except OSError:
        return FolderFacts(path, -1, 0)
    return FolderFacts(path, found.st_uid if stat.S_ISDIR(found.st_mode) else -1, stat.S_IMODE(found.st_mode))


def temp_violations(folder: FolderFacts, uid: int) -> Iterator[Violation]:
    """A temporary folder in which other users could read or exchange what is written.

    Accepted: our own with mode 0700, or a sticky one like /tmp, where each user's entries are safe from the others
    (files in it are made with `tempfile`, mode 0600).
    """
    fix = "set TMPDIR to a folder of your own with mode 0700"
    if folder.uid == -1:
        yield Violation(f"{folder.path} is no folder", "temporary files", "Nothing could be written there.", fix)
    elif folder.uid not in (uid, 0):
        why = "That user can exchange what is written there."
        yield Violation(f"{folder.path} belongs to user {folder.uid}", "temporary files", why, fix)
    elif not folder.mode & stat.S_ISVTX and folder.mode & _OTHERS:
        what = f"{folder.path} has mode {folder.mode:04o}"
        yield Violation(what, "temporary files", "Others can reach what is written there.", fix)


def data_violations(folder: FolderFacts) -> Iterator[Violation]:
    """A party's folder that others can write to."""
    if folder.uid != -1 and folder.mode & _OTHERS_WRITE and not folder.mode & stat.S_ISVTX:
        what = f"{folder.path} has mode {folder.mode:04o}"
        why = "Others could exchange the models and shares in it."
        yield Violation(what, "the party's folder", why, f"run: chmod go-w {folder.path}")


def umask_violations(umask: int) -> Iterator[Violation]:
    """A umask with which files of the run would be open to others."""
    if umask & _OTHERS != _OTHERS:
        why = "Files that libraries write would be open to others."
        yield Violation(f"umask {umask:04o}", "the party's process", why, "start it with umask 0077")


def current_umask() -> int | None:
    """This process's umask, without changing it for a moment as `os.umask` would; None where the system hides it."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    except OSError:
        pass
    return None


_BAD_VARIABLES = {
    "SF_UT_DO_NOT_EXIT_ENV_FLAG": "SecretFlow then goes on after a message that could not be sent.",
    "PPU_SPU_PICKLE_WHITELIST_CONFIG_PATH": "it loosens what SPU's own runner unpickles.",
    "PPU_SPU_ENABLE_ATLS": "it changes how SPU's own runner authenticates.",
    "JAX_DUMP_IR_TO": "JAX then writes its programs to disk, with the constants in them.",
    "JAX_LOG_COMPILES": "JAX then logs every program with the shapes of its inputs.",
    "SSLKEYLOGFILE": "TLS libraries then write the keys of every connection to a file.",
    "PYTHONINSPECT": "a failed party would wait at a prompt with its data in memory.",
}
"""Variables whose mere presence, with any value but an empty one or 0, changes what a party shows."""


def environment_violations(environment: Mapping[str, str]) -> Iterator[Violation]:
    """Environment variables that switch on what a production run must not do; their values are not repeated."""
    for name, why in _BAD_VARIABLES.items():
        if environment.get(name, "") not in ("", "0"):
            yield Violation(f"the variable {name} is set", "environment", f"Refused because {why}", f"unset {name}")
    if "dump" in environment.get("XLA_FLAGS", ""):
        why = "Refused because XLA then writes programs, and with snapshots their inputs, to disk."
        yield Violation("XLA_FLAGS holds a dump option", "environment", why, "remove it")
