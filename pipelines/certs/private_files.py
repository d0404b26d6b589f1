"""Files that only their owner may read: how private keys are written, and what is asked of them when read.

Symbolic links are followed (secret stores mount keys as links). What counts is the file that is really opened: owner
and mode are taken from the open descriptor, so nothing can be exchanged between the check and the read.
"""

import os
import secrets
import stat
from pathlib import Path

PRIVATE = 0o600
PUBLIC = 0o644
_OTHERS = 0o077
_MAX_BYTES = 1 << 20


class KeyFileError(Exception):
    """A key or certificate file cannot be used; the message says why and what to do. It never holds file content."""


def read_private(path: Path) -> bytes:
    """The content of a private file.

    Raises:
        KeyFileError: not there, not a file, another user's, or open to group or others; names the command that mends.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a FIFO must not block us
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror or error}.") from None
    problem = _problem(path, os.fstat(handle)) or _folder_problem(path)
    if problem:
        os.close(handle)
        raise KeyFileError(problem)
    with os.fdopen(handle, "rb") as file:
        return file.read(_MAX_BYTES)


def privacy_problem(path: Path) -> str | None:
    """What is wrong with a private file's owner, mode or folder; None where all is well."""
    try:
        found = path.stat()
    except OSError as error:
        return f"{path} cannot be read: {error.strerror or error}."
    return _problem(path, found) or _folder_problem(path)


def _problem(path: Path, found: os.stat_result) -> str | None:
    if not stat.S_ISREG(found.st_mode):
        return f"{path} is not a regular file."
    if found.st_uid not in (os.geteuid(), 0):
        return f"{path} belongs to user {found.st_uid}, not to you (user {os.geteuid()}): use a file of your own."
    mode = stat.S_IMODE(found.st_mode)
    if mode & _OTHERS:
        return f"{path} has mode {mode:04o}, so other users can reach a private key. Run: chmod 600 {path}"
    return None


def _folder_problem(path: Path) -> str | None:
    folder = path.resolve().parent
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o022 and not mode & stat.S_ISVTX:
        return f"the folder {folder} has mode {mode:04o}: others could exchange the key in it. Run: chmod go-w {folder}"
    return None


def write_all(files: dict[Path, tuple[bytes, int]], force: bool = False) -> None:
    """Write several files, each whole or not at all, with the mode given from the first byte on.

    Args:
        files: path -> (content, mode).
        force: replace what is there; otherwise one existing file keeps all of them from being written.

    Raises:
        KeyFileError: files exist, or a folder cannot be written.
    """
    there = [str(path) for path in files if path.exists() or path.is_symlink()]
    if there and not force:
        raise KeyFileError(
            f"{', '.join(there)} already there. Keep them, choose another --folder, or replace them with --force."
        )
    for path, (content, mode) in files.items():
        try:
            _write(path, content, mode, force)
        except FileExistsError:
            raise KeyFileError(f"{path} appeared while we were writing; nothing of it was changed.") from None
        except OSError as error:
            raise KeyFileError(f"{path} cannot be written: {error.strerror or error}.") from None


def _write(path: Path, content: bytes, mode: int, force: bool) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)  # the umask may have taken bits that a public file needs
            file.write(content)
            file.flush()
            os.fsync(handle)
        if force:
            os.replace(new, path)
        else:
            os.link(new, path)  # unlike rename, fails where the file exists
    finally:
        new.unlink(missing_ok=True)
