"""Processor time of a command and of everything it starts, daemons included, and an end for what it leaves behind.

Descendants that change their parent or session (forkservers, Ray's daemons) are found by a mark in the environment,
which children inherit. Linux only: reads /proc every 0.1 s, so what a process does after its last reading is missed.
"""

import contextlib
import os
import secrets
import signal
import threading
import time
from pathlib import Path

_NAME = "VEILFLOW_BENCH_MARK"
_EVERY_SECONDS = 0.1
_END_SECONDS = 10.0
_USER, _SYSTEM = 11, 12
"""Fields of /proc/PID/stat behind the command's name."""


class Marked:
    """A context: run commands with `environment` inside it, then read `processor_seconds`."""

    def __init__(self) -> None:
        self._value = secrets.token_hex(8)
        self._seconds: dict[int, float] = {}
        self._strangers: set[int] = set()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def environment(self) -> dict[str, str]:
        """To be added to a command's own."""
        return {_NAME: self._value}

    @property
    def processor_seconds(self) -> float:
        """User and system time of all marked processes so far."""
        return sum(self._seconds.values())

    def __enter__(self) -> "Marked":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        until = time.monotonic() + _END_SECONDS
        while (left := self._alive()) and time.monotonic() < until:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_EVERY_SECONDS)

    def _watch(self) -> None:
        while not self._done.wait(_EVERY_SECONDS):
            self._alive()

    def _alive(self) -> list[int]:
        """Marked processes there are; their times are noted."""
        running = {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
        self._strangers &= running  # an id may come back as another process
        found = []
        for pid in running - self._strangers:
            with contextlib.suppress(OSError):
                if self._is_marked(pid):
                    self._seconds[pid] = _seconds(pid)
                    if _fields(pid)[0] != "Z":
                        found.append(pid)
        return found

    def _is_marked(self, pid: int) -> bool:
        if pid in self._seconds:
            return True
        held = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if f"{_NAME}={self._value}".encode() in held:
            return True
        # Between fork and exec a process has its parent's environment: look again before it counts as strange.
        if _age(pid) > 1.0:
            self._strangers.add(pid)
        return False


def _seconds(pid: int) -> float:
    fields = _fields(pid)
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / os.sysconf("SC_CLK_TCK")


def _age(pid: int) -> float:
    """Seconds since the process began."""
    since_boot = float(Path("/proc/uptime").read_text().split()[0])
    return since_boot - int(_fields(pid)[19]) / os.sysconf("SC_CLK_TCK")


def _fields(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
