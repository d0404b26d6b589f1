"""A network switch in one process: every frame arrives late, and no faster than the rate. Needs root and /dev/net/tun.

    python slow_switch.py DELAY_SECONDS BITS_PER_SECOND NAMESPACE...

Makes ``eth0`` in each namespace, says "up", and forwards until it is killed. For kernels without netem.
"""

import ctypes
import fcntl
import heapq
import os
import select
import struct
import sys
import time

_TUNSETIFF = 0x400454CA
_TAP_WITHOUT_HEADER = 0x0002 | 0x1000
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def _tap(namespace: str) -> int:
    """The cable of a new ``eth0`` in ``namespace``; it stays usable from outside."""
    with open(f"/run/netns/{namespace}", "rb") as place:
        if _LIBC.setns(place.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
    cable = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(cable, _TUNSETIFF, struct.pack("16sH22x", b"eth0", _TAP_WITHOUT_HEADER))
    return cable


def main() -> None:
    delay, rate = float(sys.argv[1]), float(sys.argv[2])
    cables = [_tap(name) for name in sys.argv[3:]]
    print("up", flush=True)
    free = dict.fromkeys(cables, 0.0)  # when each sender's line is idle again
    learned: dict[bytes, int] = {}
    waiting: list[tuple[float, int, int, bytes]] = []
    number = 0
    poller = select.poll()
    for cable in cables:
        poller.register(cable, select.POLLIN)
    while True:
        now = time.monotonic()
        for cable, _ in poller.poll(None if not waiting else max(0.0, (waiting[0][0] - now) * 1000)):
            frame = os.read(cable, 65536)
            now = time.monotonic()
            learned[frame[6:12]] = cable
            free[cable] = max(now, free[cable]) + len(frame) * 8 / rate
            known = learned.get(frame[:6])
            for target in [known] if known is not None else [each for each in cables if each != cable]:
                number += 1
                heapq.heappush(waiting, (free[cable] + delay, number, target, frame))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, target, frame = heapq.heappop(waiting)
            try:
                os.write(target, frame)
            except OSError:
                continue  # the interface is down, or its queue full: a network loses frames


main()
