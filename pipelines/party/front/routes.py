"""Links that libraries drive (SPU, PSI), kept from everybody but the parties at their ends.

yacl's brpc takes plain text from anybody on the port that it has TLS on, and is told of no way to stop that. So with
TLS it listens on no port: at a Unix socket in a folder that only this user can enter. What comes for it enters by the
party's door (`door`), and what it sends leaves by a second Unix socket, from which it is carried to the other's door.

Adversary    anybody but this user on this machine; a member on a link that it is no party of.
Not covered  processes of the same user, and root. On a link of three, a member that writes the third's rank into its
             messages: `wire.link_check` looks at that when the link comes up, and only then.
Assumes      a folder on a file system that holds sockets and modes.
Cost         two more hops per message: about 0.1 ms, and a core second per some GB.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from veilflow.pipelines.party.front.calling import Caller, CallFailed, hang_up
from veilflow.pipelines.party.front.door import Door
from veilflow.pipelines.party.front.greeting import Hello
from veilflow.pipelines.party.front.pumps import Pumps

log = logging.getLogger("veilflow")

_HERE = "unix:"
_AT_A_TIME = 64
"""Connections of one peer on one link; libraries open one, and another when it breaks."""
_FULL_SECONDS = 0.1


class Routes:
    """Where this party's libraries listen and call, per link.

    Args:
        me: who we are.
        folder: of this process alone; made with mode 0700.
        door, caller: this party's port, and the way to the others'.
        job: the run; callers of another one are refused.
    """

    def __init__(self, me: str, folder: Path, door: Door, caller: Caller, job: str) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._me, self._door, self._caller, self._job = me, door, caller, job
        # By its descriptor: a socket's path may have 107 bytes, and a run's folder may have more.
        self._folder = f"/proc/self/fd/{os.open(folder, os.O_PATH | os.O_DIRECTORY)}"
        self._pumps = Pumps()
        self._known: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def addresses(self, link: str, parties: Sequence[str]) -> dict[str, str]:
        """For each of ``parties``, in their order, where the library reaches it; for this one, where it listens."""
        with self._lock:
            if link not in self._known:
                number = len(self._known)
                places = {
                    party: f"{self._folder}/{number}.{index}{'.own' if party == self._me else ''}"
                    for index, party in enumerate(parties)
                }
                if self._me in places:
                    self._open(link, places)
                self._known[link] = {party: _HERE + place for party, place in places.items()}
            return dict(self._known[link])

    def _open(self, link: str, places: Mapping[str, str]) -> None:
        there: dict[str, list[socket.socket]] = {peer: [] for peer in places if peer != self._me}

        def admit(hello: Hello) -> str:
            if hello.job != self._job or hello.caller not in there:
                return "channel"
            there[hello.caller] = [each for each in there[hello.caller] if each.fileno() >= 0]  # pumps close them
            return "welcome" if len(there[hello.caller]) < _AT_A_TIME else "full"

        def take(outside: socket.socket, hello: Hello) -> None:
            inside = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                inside.setblocking(False)  # this is the door's thread: nobody waits here for a busy library
                inside.connect(places[self._me])
            except OSError:  # the library does not listen yet, or is busy; the other side's tries again
                inside.close()
                hang_up(outside)
                return
            there[hello.caller].append(outside)
            self._pumps.add(inside, outside)

        self._door.serve(link, admit, take)
        for peer, place in places.items():
            if peer != self._me:
                server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                server.bind(place)
                server.listen(16)
                threading.Thread(
                    target=self._carry, args=(server, link, peer), name=f"way-{link}-{peer}", daemon=True
                ).start()

    def _carry(self, server: socket.socket, link: str, peer: str) -> None:
        while True:
            try:
                inside, _ = server.accept()
            except OSError as error:  # out of descriptors
                log.warning("link %s: %s", link, error.strerror)
                time.sleep(_FULL_SECONDS)
                continue
            try:
                self._pumps.add(inside, self._caller.call(peer, link, self._job))
            except CallFailed as failed:
                log.warning("link %s: %s", link, failed)
                inside.close()
            except Exception:  # whatever that peer has answered, the library shall try again
                log.exception("link %s to %s", link, peer)
                inside.close()
