"""Bytes this process has sent over TCP, read from the kernel (TCP_INFO), so that every link counts: SecretFlow's own,
the SPU's, PSI's and control. Nothing has to cooperate, TLS and framing included."""

import os
import socket
import struct
import threading

_TCP_INFO_SIZE = 232
_BYTES_SENT_OFFSET = 200  # struct tcp_info.tcpi_bytes_sent, Linux 4.19 and later


class TrafficMeter:
    """Samples all TCP sockets of the process now and then; a socket that closes keeps its last count."""

    def __init__(self, interval_seconds: float = 0.2) -> None:
        self._sent: dict[int, int] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._interval = interval_seconds
        threading.Thread(target=self._watch, name="traffic", daemon=True).start()

    def total(self) -> int:
        """Bytes sent so far, resent segments included."""
        self._sample()
        with self._lock:
            return sum(self._sent.values())

    def close(self) -> None:
        self._stop.set()

    def _watch(self) -> None:
        while not self._stop.wait(self._interval):
            self._sample()

    def _sample(self) -> None:
        for name in os.listdir("/proc/self/fd"):
            seen = _bytes_sent(int(name))
            if seen is not None:
                inode, count = seen
                with self._lock:
                    self._sent[inode] = max(count, self._sent.get(inode, 0))


def _bytes_sent(fd: int) -> tuple[int, int] | None:
    try:
        target = os.readlink(f"/proc/self/fd/{fd}")
        if not target.startswith("socket:["):
            return None
        with socket.socket(fileno=os.dup(fd)) as probe:
            if probe.type != socket.SOCK_STREAM or probe.family not in (socket.AF_INET, socket.AF_INET6):
                return None
            info = probe.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
    except OSError:  # closed meanwhile, or not TCP
        return None
    if len(info) < _BYTES_SENT_OFFSET + 8:
        return None
    return int(target[8:-1]), struct.unpack_from("Q", info, _BYTES_SENT_OFFSET)[0]
