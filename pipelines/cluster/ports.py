"""Ports of this machine: whether one can be listened on, what stands in the way, and keeping some for a run.

Two runs that start at the same moment would both find the same ports free, since what is only chosen nobody sees. Kept
ports are bound and not listened on: who wants them alone is refused, and a process of the same run, which does not, may
listen there.
"""

import errno
import os
import pwd
import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from veilflow.pipelines.cluster.hosts import split

_LISTENS = "0A"
_OWNER, _INODE = 7, 9
"""Fields of a line of /proc/net/tcp."""


class PortTaken(Exception):
    """A port cannot be listened on; the message says why."""


def is_free(host: str, port: int, alone: bool = False) -> bool:
    """Whether this machine can listen on ``host:port`` now.

    Args:
        alone: and nobody has bound it, nor left it in TIME_WAIT. Without, as brpc does it: what a party that has just
            ended left behind does not stand in the way of a restart.
    """
    try:
        _bound(host, port, alone).close()
    except (OSError, UnicodeError):
        return False
    return True


def in_the_way(host: str, port: int) -> str:
    """Why this machine cannot listen on ``host:port`` now; empty where it can."""
    try:
        _bound(host, port, False).close()
    except (OSError, UnicodeError) as error:
        return why_not(host, port, error)
    return ""


def why_not(host: str, port: int, error: OSError | UnicodeError) -> str:
    """What ``error`` of listening says, in words, with who has the port."""
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return f"port {port} on {host} is in use{_by(port)}"
    if number == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine (behind NAT, listen: names one that is)"
    if number == errno.EACCES:
        return f"port {port} on {host} is not for this user (those below 1024 are root's)"
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return f"the name '{host}' is not known on this machine"
    return f"port {port} on {host} cannot be listened on ({(error.strerror or 'refused').lower()})"


class Kept:
    """Ports that nobody else chooses until they are released; ours may listen on them meanwhile."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def add(self, addresses: Iterable[str]) -> None:
        """Keep these, ``host:port`` each, too.

        Raises:
            PortTaken: somebody has one, or keeps it.
        """
        for address in addresses:
            host, port = split(address)
            try:
                self._sockets.append(_bound(host, port, True))
            except (OSError, UnicodeError) as error:
                raise PortTaken(why_not(host, port, error)) from None
            # Set only now: binding asked whether the port is ours alone, listening on it by another shall be allowed.
            self._sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def release(self) -> None:
        while self._sockets:
            self._sockets.pop().close()


def _bound(host: str, port: int, alone: bool) -> socket.socket:
    family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(not alone))
        made.bind(where)
    except BaseException:
        made.close()
        raise
    return made


def _by(port: int) -> str:
    """Who listens there, as far as this user may know."""
    for file in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(file).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    return _process(fields[_INODE]) or _user(int(fields[_OWNER]))
    return ""


def _process(inode: str) -> str:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):  # another user's, or gone
            for descriptor in (entry / "fd").iterdir():
                if os.readlink(descriptor) == f"socket:[{inode}]":
                    name = (entry / "comm").read_text(encoding="utf-8", errors="replace").strip()
                    return f" by {re.sub(r'[^ -~]', '?', name)} (process {entry.name})"
    return ""


def _user(number: int) -> str:
    try:
        return f" by a program of user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f" by a program of user {number}"
