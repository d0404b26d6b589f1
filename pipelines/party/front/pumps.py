"""Bytes back and forth between two connected sockets, one of which may speak TLS; one thread for all of them."""

import contextlib
import os
import selectors
import socket
import ssl
import threading
from dataclasses import dataclass, field

_BUFFER = 1 << 18
_TURNS = 8
"""Pieces that one direction moves before another has its turn."""


@dataclass(eq=False)
class _Way:
    """One direction."""

    source: socket.socket
    sink: socket.socket
    buffer: bytearray = field(default_factory=lambda: bytearray(_BUFFER))
    left: memoryview | None = None
    """What was read and is not yet written."""


@dataclass(eq=False)
class _Pair:
    one: socket.socket
    other: socket.socket
    ways: tuple[_Way, _Way]
    asked: dict[socket.socket, int] = field(default_factory=dict)
    """What the selector waits for."""


class Pumps:
    """Forwards until one end closes; then both are closed."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake, self._bell = os.pipe()
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._new: list[_Pair] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, one: socket.socket, other: socket.socket) -> None:
        """Forward between ``one`` and ``other`` from now on."""
        one.setblocking(False)
        other.setblocking(False)
        with self._lock:
            self._new.append(_Pair(one, other, (_Way(one, other), _Way(other, one))))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pumps", daemon=True)
                self._thread.start()
        os.write(self._bell, b"x")

    def _run(self) -> None:
        busy: set[_Pair] = set()
        while True:
            events = self._selector.select(0 if busy else None)
            ready = busy | {key.data for key, _ in events if key.data is not None}
            if any(key.fileobj == self._wake for key, _ in events):
                os.read(self._wake, 1 << 10)
                with self._lock:
                    ready |= set(self._new)
                    self._new.clear()
            busy = set()
            for pair in ready:
                try:
                    if self._move(pair):
                        busy.add(pair)
                except (OSError, ValueError):  # one end is gone
                    self._drop(pair)

    def _move(self, pair: _Pair) -> bool:
        """Move what can be moved; whether there may be more at once."""
        wanted = dict.fromkeys((pair.one, pair.other), 0)
        more = False
        for way in pair.ways:
            more |= _go(way, wanted)
        for link, events in wanted.items():
            self._ask(pair, link, events)
        return more

    def _ask(self, pair: _Pair, link: socket.socket, events: int) -> None:
        before = pair.asked.get(link, 0)
        if events == before:
            return
        if not before:
            self._selector.register(link, events, pair)
        elif events:
            self._selector.modify(link, events, pair)
        else:
            self._selector.unregister(link)
        pair.asked[link] = events

    def _drop(self, pair: _Pair) -> None:
        for link, events in pair.asked.items():
            if events:
                with contextlib.suppress(KeyError, ValueError):
                    self._selector.unregister(link)
        pair.one.close()
        pair.other.close()


def _go(way: _Way, wanted: dict[socket.socket, int]) -> bool:
    for _ in range(_TURNS):
        if way.left is None:
            try:
                count = way.source.recv_into(way.buffer)
            except (BlockingIOError, ssl.SSLWantReadError):
                wanted[way.source] |= selectors.EVENT_READ
                return False
            except ssl.SSLWantWriteError:
                wanted[way.source] |= selectors.EVENT_WRITE
                return False
            if not count:
                raise ConnectionResetError(0, "closed")
            way.left = memoryview(way.buffer)[:count]
        while way.left:
            try:
                sent = way.sink.send(way.left)
            except (BlockingIOError, ssl.SSLWantWriteError):
                wanted[way.sink] |= selectors.EVENT_WRITE
                return False
            except ssl.SSLWantReadError:
                wanted[way.sink] |= selectors.EVENT_READ
                return False
            way.left = way.left[sent:]
        way.left = None
    return True
