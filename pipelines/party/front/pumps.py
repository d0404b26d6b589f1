"""Bytes back and forth between two connected sockets, one of which may speak TLS; one thread for all of them.

Most messages of libraries are small and many: per message and direction one wait, one read and one write, and nothing
is tried that the kernel has not announced.
"""

import os
import select
import socket
import ssl
import threading
from dataclasses import dataclass, field

_BUFFER = 1 << 18
_RECORD = 1 << 14
"""What one read of a TLS socket gives at most; behind a full one there is often another."""
_IN = select.EPOLLIN
_OUT = select.EPOLLOUT
_OVER = select.EPOLLHUP | select.EPOLLERR


@dataclass(eq=False)
class _Way:
    """One direction; bytes ``first`` to ``last`` of the buffer are read and not yet written."""

    source: "_End"
    sink: "_End"
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(_BUFFER)))
    first: int = 0
    last: int = 0


@dataclass(eq=False)
class _End:
    link: socket.socket
    full: int
    """A read of so many bytes may have left some behind."""
    asked: int = _IN
    """What the kernel is asked to announce."""
    leaves: "_Way | None" = None
    """The way that reads here."""
    enters: "_Way | None" = None


class Pumps:
    """Forwards until one end closes; then both are closed."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._wake, self._bell = os.pipe()
        self._epoll.register(self._wake, _IN)
        self._ends: dict[int, _End] = {}
        self._new: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, one: socket.socket, other: socket.socket) -> None:
        """Forward between ``one`` and ``other`` from now on."""
        with self._lock:
            self._new.append((one, other))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pumps", daemon=True)
                self._thread.start()
        os.write(self._bell, b"x")

    def _run(self) -> None:
        while True:
            for descriptor, events in self._epoll.poll():
                if descriptor == self._wake:
                    os.read(self._wake, 1 << 10)
                    self._begin()
                elif (end := self._ends.get(descriptor)) is not None:
                    try:
                        self._serve(end, events)
                    except (OSError, ValueError):  # one end is gone
                        self._drop(end)

    def _begin(self) -> None:
        with self._lock:
            pairs, self._new = self._new, []
        for links in pairs:
            made = [_End(link, _RECORD if isinstance(link, ssl.SSLSocket) else _BUFFER) for link in links]
            for here, there in (made, reversed(made)):
                here.leaves = there.enters = _Way(here, there)
            try:
                for end in made:
                    end.link.setblocking(False)
                    self._ends[end.link.fileno()] = end
                    self._epoll.register(end.link.fileno(), _IN)
                for end in made:  # the kernel does not announce what TLS has read already
                    if isinstance(end.link, ssl.SSLSocket) and end.link.pending():
                        self._read(end)
            except (OSError, ValueError):
                self._drop(made[0])

    def _serve(self, end: _End, events: int) -> None:
        if events & _OUT:
            assert end.enters is not None, "both ways are made together"
            self._write(end.enters)
        if events & (_IN | _OVER):
            self._read(end)

    def _read(self, end: _End) -> None:
        way = end.leaves
        assert way is not None, "both ways are made together"
        if way.last:  # it waits for the other end; nothing was asked for here
            raise ConnectionResetError(0, "closed")
        while way.last + end.full <= _BUFFER:
            try:
                count = end.link.recv_into(way.buffer[way.last :])
            except (BlockingIOError, ssl.SSLWantReadError):
                break
            if not count:
                if way.last:
                    break  # announced again once this is written
                raise ConnectionResetError(0, "closed")
            way.last += count
            if count < end.full:
                break
        if way.last:
            self._write(way)

    def _write(self, way: _Way) -> None:
        try:
            while way.first < way.last:
                way.first += way.sink.link.send(way.buffer[way.first : way.last])
        except (BlockingIOError, ssl.SSLWantWriteError):
            self._ask(way.source, way.source.asked & ~_IN)
            self._ask(way.sink, way.sink.asked | _OUT)
            return
        way.first = way.last = 0
        self._ask(way.source, way.source.asked | _IN)
        self._ask(way.sink, way.sink.asked & ~_OUT)

    def _ask(self, end: _End, events: int) -> None:
        if end.asked != events:
            self._epoll.modify(end.link.fileno(), events)
            end.asked = events

    def _drop(self, end: _End) -> None:
        assert end.leaves is not None, "both ways are made together"
        for each in (end, end.leaves.sink):
            self._ends.pop(each.link.fileno(), None)
            each.link.close()  # which takes it from the kernel's list, too
