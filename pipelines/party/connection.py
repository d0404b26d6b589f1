"""One connection to one peer: whole frames over TCP, with TLS wherever the run has it; every wait is bounded.

yacl's links cannot tell a peer that died from one that is slow, keep a dead attempt's connections, and end the process
when a message cannot be sent. The control link must tell, at once, and so has sockets of its own.
"""

import os
import select
import socket
import ssl
import threading
import time

MAX_FRAME = 1 << 17
_HEAD_BYTES = 4
_SEND_SECONDS = 3.0
"""Less than the shortest silence that a party may be given up for: its beats to others come after this."""
_CHUNK = 1 << 14


class PeerGone(Exception):
    """A peer cannot be heard any more."""

    def __init__(self, peer: str, silent: bool, why: str) -> None:
        super().__init__(f"{peer} {why}")
        self.peer = peer
        self.silent = silent
        """Nothing came for too long; else the connection was closed: its process has ended."""
        self.why = why


class PeerAtFault(Exception):
    """A party, perhaps this one, cannot take part, and waiting longer would not help."""

    def __init__(self, peer: str, why: str, lost: bool = False) -> None:
        super().__init__(f"{peer} {why}")
        self.peer, self.why = peer, why
        self.lost = lost
        """Its process has ended: when all are there again, the same run may succeed."""


class Connection:
    """Frames to and from ``peer``. One thread may receive while others send.

    Args:
        link: connected, TLS handshake done.
    """

    def __init__(self, link: socket.socket, peer: str) -> None:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.setblocking(False)
        self._socket = link
        self.peer = peer
        self._received = bytearray()
        self._one_at_a_time = threading.Lock()  # OpenSSL reads and writes the same state
        self._sending = threading.Lock()

    def send(self, raw: bytes) -> None:
        """Send one frame.

        Raises:
            PeerGone: the connection is closed, or the peer takes nothing for `_SEND_SECONDS`.
        """
        assert len(raw) <= MAX_FRAME, "callers send small messages"
        left = memoryview(len(raw).to_bytes(_HEAD_BYTES, "big") + raw)
        deadline = time.monotonic() + _SEND_SECONDS
        with self._sending:
            while left:
                try:
                    with self._one_at_a_time:
                        left = left[self._socket.send(left[:_CHUNK]) :]
                except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    self._wait(select.POLLOUT, deadline, "takes no message")
                except (OSError, ValueError):
                    raise self._closed() from None

    def receive(self, seconds: float) -> bytes:
        """The next frame.

        Raises:
            PeerGone: the connection is closed, or no whole frame came in time.
        """
        deadline = time.monotonic() + seconds
        while (frame := self._whole_frame()) is None:
            try:
                with self._one_at_a_time:
                    chunk = self._socket.recv(_CHUNK)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                self._wait(select.POLLIN, deadline, f"was silent for {seconds:.0f} s")
                continue
            except ssl.SSLError as error:
                raise PeerGone(self.peer, False, f"has ended TLS ({error.reason})") from None
            except (OSError, ValueError):
                raise self._closed() from None
            if not chunk:
                raise self._closed()
            self._received += chunk
        return frame

    def dead(self) -> bool:
        """Whether the peer has closed; takes nothing from what it has sent."""
        try:
            # Below TLS, whose objects cannot be asked without reading.
            with socket.socket(fileno=os.dup(self._socket.fileno())) as below:
                return not below.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        self._socket.close()

    def _whole_frame(self) -> bytes | None:
        if len(self._received) < _HEAD_BYTES:
            return None
        size = int.from_bytes(self._received[:_HEAD_BYTES], "big")
        if size > MAX_FRAME:
            raise PeerGone(self.peer, False, f"sent a control frame of {size} bytes")
        if len(self._received) < _HEAD_BYTES + size:
            return None
        frame = bytes(self._received[_HEAD_BYTES : _HEAD_BYTES + size])
        del self._received[: _HEAD_BYTES + size]
        return frame

    def _wait(self, what: int, deadline: float, why: str) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise PeerGone(self.peer, True, why)
        try:
            ready = select.poll()
            ready.register(self._socket.fileno(), what)
            ready.poll(min(left, 1.0) * 1000)  # in slices: closing a socket wakes nobody who polls it
        except (OSError, ValueError):
            raise self._closed() from None

    def _closed(self) -> PeerGone:
        return PeerGone(self.peer, False, "has closed its connection")
