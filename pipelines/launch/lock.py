"""One run at a time in a folder: the kernel holds the lock and drops it with the process, however that ends."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path


class FolderBusy(Exception):
    """Another run writes there; the message names its process."""


@contextmanager
def locked(out: Path, parties: Sequence[str]) -> Iterator[None]:
    """Hold ``out`` for the parties that run here; on one machine, parties that are started one by one may share it.

    Raises:
        FolderBusy: another run holds one of them.
    """
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        for party in parties:
            held.enter_context(_held(out, party))
        yield


@contextmanager
def _held(out: Path, party: str) -> Iterator[None]:
    path = out / f".{party}.lock"
    handle = _acquire(path, out)
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": _now()}).encode(), 0)
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # while it is held, see `_acquire`
        os.close(handle)


def _acquire(path: Path, out: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(handle, path):
                return handle
        except BlockingIOError:
            who = _who(os.pread(handle, 4096, 0))
            os.close(handle)
            raise FolderBusy(
                f"{out} is in use by another run{who}. Wait until it is done, end it, or give another --out."
            ) from None
        except OSError:
            return handle  # a file system without locks: the run is worth more than the warning
        os.close(handle)  # whoever held it has removed this file meanwhile


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _who(raw: bytes) -> str:
    try:
        holder = json.loads(raw)
        where = "" if holder["host"] == socket.gethostname() else f" on {holder['host']}"
        return f": process {int(holder['pid'])}{where}, since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return ""  # it has just taken the lock and not yet said who it is


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
