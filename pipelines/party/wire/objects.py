"""The links that SecretFlow's objects travel on: one connection per direction and pair, through the parties' doors.

A sender never waits for a receiver that is busy: what the network does not take yet waits here, up to `_WAITING_BYTES`
per peer; so does what has arrived and nobody has asked for yet. Frames are `envelope`'s; nothing in them is looked at.
Stands in for a yacl link (`send_async`, `recv`, `stop_link`), which takes plain text on its TLS port from anybody and
ends the process on a message under a number that it knows.
"""

import socket
import threading
import time
from collections import deque
from collections.abc import Sequence

from veilflow.pipelines.party.connection import PeerGone
from veilflow.pipelines.party.front.calling import Caller, CallFailed, hang_up
from veilflow.pipelines.party.front.door import Door
from veilflow.pipelines.party.front.greeting import Hello
from veilflow.pipelines.party.wire.envelope import CHUNK_BYTES
from veilflow.pipelines.party.wire.errors import PeerStalled

CHANNEL = "objects"
MAX_FRAME = CHUNK_BYTES + (1 << 18)
"""A piece of a payload, or a whole small one, with header, names and signature."""
_HEAD_BYTES = 4
_WAITING_BYTES = 1 << 29
_AT_ONCE = 1 << 15
"""A frame up to this size goes out in the thread that sends it, if nothing waits before it."""
_RETRY_SECONDS = 0.05
_GOODBYE_SECONDS = 10.0
_NOTICE_SECONDS = 5.0


class ObjectLinks:
    """This party's connections for objects.

    Args:
        me: who we are.
        parties: everybody, in the order of ranks.
        door, caller: this party's port, and the way to the others'.
        job: the run; callers of another one are refused.
        stall_seconds: how long `recv` waits for a frame.
    """

    def __init__(
        self, me: str, parties: Sequence[str], door: Door, caller: Caller, job: str, stall_seconds: float
    ) -> None:
        self._me, self._parties, self._caller, self._job = me, list(parties), caller, job
        self._stall = stall_seconds
        self._out: dict[str, _Outgoing] = {}
        self._in = {peer: _Incoming(peer) for peer in parties if peer != me}
        door.serve(CHANNEL, self._admit, lambda link, hello: self._in[hello.caller].begin(link))

    def start(self, seconds: float) -> None:
        """Connect to every peer, and be connected to by every peer.

        Raises:
            PeerGone: one did not come in time.
        """
        deadline = time.monotonic() + seconds
        for peer in self._in:
            self._out[peer] = _Outgoing(peer, self._dial(peer, deadline))
        for peer, incoming in self._in.items():
            if not incoming.there.wait(max(0.0, deadline - time.monotonic())):
                raise PeerGone(peer, True, "did not connect its link for objects in time")

    def send_async(self, rank: int, frame: bytes) -> None:
        """Send a frame; returns before it has arrived. What a lost peer does not get is not reported here: the control
        link notices the loss."""
        self._out[self._parties[rank]].send(frame)

    def recv(self, rank: int) -> bytes:
        """The next frame.

        Raises:
            PeerStalled: none came in time.
            PeerGone: the peer has closed the connection.
        """
        return self._in[self._parties[rank]].take(self._stall)

    def stop_link(self) -> None:
        """Send what waits, tell the peers that nothing more comes, and wait until they have said so, too."""
        deadline = time.monotonic() + _GOODBYE_SECONDS
        for outgoing in self._out.values():
            outgoing.finish()
        for outgoing in self._out.values():
            outgoing.finished.wait(max(0.0, deadline - time.monotonic()))
        for incoming in self._in.values():
            incoming.ended.wait(max(0.0, deadline - time.monotonic()))
            incoming.close()
        for outgoing in self._out.values():
            outgoing.close()

    def _admit(self, hello: Hello) -> str:
        known = hello.job == self._job and hello.caller in self._in
        return "welcome" if known and self._in[hello.caller].expect() else "channel"

    def _dial(self, peer: str, deadline: float) -> socket.socket:
        while True:
            try:
                return self._caller.call(peer, CHANNEL, self._job)
            except CallFailed as failed:  # it has not come so far yet, or is lost: then the control link says so
                if time.monotonic() > deadline:
                    raise PeerGone(peer, True, failed.why) from None
                time.sleep(_RETRY_SECONDS)


class _Outgoing:
    """Frames to one peer."""

    def __init__(self, peer: str, link: socket.socket) -> None:
        self._link = link
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._ending = self._lost = False
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self.finished = threading.Event()
        threading.Thread(target=self._run, name=f"objects-to-{peer}", daemon=True).start()

    def send(self, frame: bytes) -> None:
        if len(frame) <= _AT_ONCE and self._writing.acquire(blocking=False):
            try:
                if not self._waiting:
                    self._write(frame)
                    return
            finally:
                self._writing.release()
        with self._changed:
            while self._bytes > _WAITING_BYTES and not self._lost:
                self._changed.wait(1.0)
            self._waiting.append(frame)
            self._bytes += len(frame)
            self._changed.notify_all()

    def finish(self) -> None:
        with self._changed:
            self._ending = True
            self._changed.notify_all()

    def close(self) -> None:
        hang_up(self._link)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._ending:
                    self._changed.wait()
                if not self._waiting:
                    break
            with self._writing:
                self._write(self._waiting[0])
                with self._changed:
                    self._bytes -= len(self._waiting.popleft())
                    self._changed.notify_all()
        self._write(b"")  # an empty frame: nothing more comes
        self.finished.set()

    def _write(self, frame: bytes) -> None:
        if self._lost:
            return
        try:
            head = len(frame).to_bytes(_HEAD_BYTES, "big")
            if len(frame) <= _AT_ONCE:
                self._link.sendall(head + frame)
            else:
                self._link.sendall(head)
                self._link.sendall(frame)
        except OSError:
            self._lost = True


class _Incoming:
    """Frames from one peer, which may connect once."""

    def __init__(self, peer: str) -> None:
        self._peer = peer
        self._link: socket.socket | None = None
        self._arrived: deque[bytes] = deque()
        self._bytes = 0
        self._why = ""
        self._changed = threading.Condition()
        self._expected = False
        self.there, self.ended = threading.Event(), threading.Event()

    def expect(self) -> bool:
        """Whether this is the first connection; called in the door's thread only."""
        first, self._expected = not self._expected, True
        return first

    def begin(self, link: socket.socket) -> None:
        self._link = link
        threading.Thread(target=self._run, args=(link,), name=f"objects-from-{self._peer}", daemon=True).start()
        self.there.set()

    def take(self, seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self._arrived:
                if self._why:
                    # The control link notices a dead peer as well, knows more of it, and ends this process.
                    self._changed.wait(_NOTICE_SECONDS)
                    raise PeerGone(self._peer, False, self._why)
                left = deadline - time.monotonic()
                if left <= 0:
                    raise PeerStalled(self._peer, seconds / 60)
                self._changed.wait(left)
            frame = self._arrived.popleft()
            self._bytes -= len(frame)
            self._changed.notify_all()
            return frame

    def close(self) -> None:
        if self._link is not None:
            hang_up(self._link)

    def _run(self, link: socket.socket) -> None:
        head = bytearray(_HEAD_BYTES)
        why = "has closed its connection"
        try:
            while _fill(link, head):
                size = int.from_bytes(head, "big")
                if not size:
                    break
                if size > MAX_FRAME:
                    why = f"sent a frame of {size} bytes"
                    break
                frame = bytearray(size)
                if not _fill(link, frame):
                    break
                with self._changed:
                    while self._bytes > _WAITING_BYTES:
                        self._changed.wait()
                    self._arrived.append(frame)  # type: ignore[arg-type]
                    self._bytes += size
                    self._changed.notify_all()
        except (OSError, ValueError):
            pass
        with self._changed:
            self._why = why
            self._changed.notify_all()
        self.ended.set()


def _fill(link: socket.socket, target: bytearray) -> bool:
    """Whether all of ``target`` came before the connection was closed."""
    view = memoryview(target)
    while view:
        count = link.recv_into(view)
        if not count:
            return False
        view = view[count:]
    return True
