"""How the parties of a run find each other: one connection per pair, between processes that start now.

Computes     a connection to every peer, each to a process that is joining too: one that is in a run already, since it
             has not yet noticed that a peer died, says so and takes that as the news that the peer was started anew.
             Parties that call this one are called, too: other links of the run need the way there as well.
             What trying again would not mend (a certificate, a key, a clock, a name) ends the wait at once, here and,
             by `news`, at everybody who can be reached.
Adversary    as `front.door`. Nothing that a stranger does ends the wait: what does was signed by a pinned key, or found
             by this party at the very address of a peer.
Reveals      as `front.greeting`; to pinned parties, who cannot go on and a constant code.
Not covered  whoever holds a peer's address on the network can keep this party from joining: by silence, too.
Assumes      the pinned signing keys; TLS wherever the link leaves the machine.
Cost         one connection per pair and attempt; refused attempts are repeated every `_RETRY_SECONDS`.
Reference    none.
"""

import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from veilflow.pipelines.certs.private_files import KeyFileError
from veilflow.pipelines.party.connection import Connection, PeerAtFault, PeerGone
from veilflow.pipelines.party.front.calling import Caller, CallFailed, NotListening, NotYet, Over, Unresolved, hang_up
from veilflow.pipelines.party.front.door import Door
from veilflow.pipelines.party.front.greeting import Answer, Hello
from veilflow.pipelines.party.front.tls import Tls
from veilflow.pipelines.party.setup import PartySetup
from veilflow.pipelines.party.wire.errors import WireRefused
from veilflow.pipelines.party.wire.identity import Identity

CONTROL, PROBE, NEWS = "control", "probe", "news"
CODES = {
    "certificate": "its certificate is not accepted by {teller}",
    "clock": "its certificate is not valid by the clock of {teller}",
    "unresolved": "the name in its address is not known at {teller}",
    "identity": "it is not, for {teller}, who it says it is",
    "start": "it does not start; its own message says why",
    "ended": "its process has ended while it joined",
}
"""What news may say about a party."""
_LOST = frozenset({"ended"})
"""After these the same run may succeed when all are there again."""
_FIRST_RETRY_SECONDS, _RETRY_SECONDS = 0.01, 0.2
"""Parties that start together miss each other by milliseconds; later ones are waited for patiently."""
_POLL_SECONDS = 0.01
_OVERDUE_SECONDS = 5.0
"""Who is not there by then is named, though it may only be late."""
_NOTHING_SEEN = "it did not connect"
_UNRESOLVED_SECONDS = 5.0
"""A machine that is only starting may get its name a little later."""
NEWS_SECONDS = 10.0
_ASK_SECONDS = 1.0


class Mesh:
    """This party's connections.

    Args:
        me: who we are.
        addresses: party -> ``host:port``; the order is the same at every party.
        door, caller: this party's port, and the way to the others'.
        on_return: called with the name of a connected party that comes a second time: it was started anew.
        tell: told in words, at once, what stands in the way meanwhile.
    """

    def __init__(
        self,
        me: str,
        addresses: Mapping[str, str],
        door: Door,
        caller: Caller,
        on_return: Callable[[str], None],
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        order = list(addresses)
        self._me, self._addresses, self._door, self._caller = me, dict(addresses), door, caller
        self._on_return, self._tell = on_return, tell
        self._peers = [party for party in order if party != me]
        self._dialled = order[: order.index(me)]
        self._connections: dict[str, Connection] = {}
        self._seen: dict[str, str] = {}
        self._left: dict[str, float] = {}
        self._fault: PeerAtFault | None = None
        self._news = ""
        self._lock = threading.Lock()
        self._reached: set[str] = set()
        self._settled = False
        self._told = threading.Event()
        self._complete, self._stopped = threading.Event(), threading.Event()
        self._calls = {peer: threading.Event() for peer in self._peers}
        door.serve(CONTROL, self._admit, self._take)
        door.serve(PROBE, lambda hello: self._over() or "welcome", lambda link, hello: hang_up(link))
        door.serve(NEWS, self._hear_news, lambda link, hello: hang_up(link), by_signature=True)

    def connect(self, seconds: float) -> None:
        """Wait until every peer is connected.

        Raises:
            PeerAtFault: one never will be; the others have been told.
            PeerGone: one did not come in time; the message says what was last seen of it.
        """
        deadline = time.monotonic() + seconds
        overdue = time.monotonic() + _OVERDUE_SECONDS
        for peer in self._peers:
            threading.Thread(target=self._dial, args=(peer,), name=f"control-dial-{peer}", daemon=True).start()
        while not self._all_there():
            self.require_no_fault()
            if time.monotonic() > deadline:
                self.close()
                peer = [*self._missing(), *self._peers][0]
                raise PeerGone(peer, True, self._what_was_seen(peer, seconds))
            if time.monotonic() > overdue:
                overdue = deadline
                for peer in self._missing():
                    self._tell(f"waiting for {peer}: {self._seen.get(peer, _NOTHING_SEEN)}")
            time.sleep(_POLL_SECONDS)

    def require_no_fault(self) -> None:
        """Go on, unless somebody cannot take part; asked until the parties have shaken hands.

        Raises:
            PeerAtFault: the others have been told.
        """
        if self._fault is not None:
            self._told.wait(NEWS_SECONDS + 2)
            self.close()
            raise self._fault

    def ask(self, peer: str) -> None:
        """Why ``peer`` has left, asked of itself.

        Raises:
            PeerAtFault: it says that somebody cannot take part.
        """
        try:
            hang_up(self._caller.call(peer, PROBE))
        except Over as told:
            self._believe(peer, told.about, told.news)
        except CallFailed:
            pass
        self.require_no_fault()

    def settle(self) -> None:
        """From now on the control link carries all news."""
        with self._lock:
            self._settled = True

    def send(self, peer: str, raw: bytes) -> None:
        self._connections[peer].send(raw)

    def receive(self, peer: str, seconds: float) -> bytes:
        return self._connections[peer].receive(seconds)

    def close(self) -> None:
        """Drop every connection."""
        self._stopped.set()
        for event in self._calls.values():
            event.set()
        with self._lock:
            for connection in self._connections.values():
                connection.close()

    def _all_there(self) -> bool:
        with self._lock:
            for peer in [name for name, connection in self._connections.items() if connection.dead()]:
                self._connections.pop(peer).close()  # it died while we waited for others; it may come again
                self._left[peer] = time.monotonic()
            if len(self._connections) == len(self._reached) == len(self._peers) and self._fault is None:
                self._complete.set()
        return self._complete.is_set()

    def _missing(self) -> list[str]:
        """First those that never came; last who has just left, and perhaps only did not wait any longer itself."""
        with self._lock:
            missing = [peer for peer in self._peers if peer not in self._connections.keys() & self._reached]
            return sorted(missing, key=lambda peer: self._left.get(peer, 0.0))

    def _what_was_seen(self, peer: str, seconds: float) -> str:
        seen = self._seen.get(peer, _NOTHING_SEEN)
        return f"was not there within {seconds:.0f} s (at {self._addresses[peer]}; {seen})"

    def _over(self) -> Answer | None:
        return None if self._fault is None else Answer(code="over", about=self._fault.peer, news=self._news)

    def _admit(self, hello: Hello) -> "str | Answer":
        if hello.caller in self._dialled:
            return "stranger"
        if (over := self._over()) is not None:
            return over
        if not self._complete.is_set():
            return "welcome"
        # A moment later, so that the caller has its answer before this process ends.
        timer = threading.Timer(0.2, self._on_return, (hello.caller,))
        timer.daemon = True
        timer.start()
        return "busy"

    def _take(self, link: socket.socket, hello: Hello) -> None:
        connection = Connection(link, hello.caller)
        with self._lock:
            if not self._complete.is_set():
                before = self._connections.pop(hello.caller, None)
                if before is not None:
                    before.close()
                self._connections[hello.caller] = connection
                self._calls[hello.caller].set()
                return
        connection.close()  # the one before it was still good

    def _hear_news(self, hello: Hello) -> str:
        if hello.about not in self._addresses or hello.code not in CODES:
            return "channel"
        self._believe(hello.caller, hello.about, hello.code)
        return "welcome"

    def _believe(self, teller: str, about: str, code: str) -> None:
        if about in self._addresses and code in CODES:
            why = f"cannot take part: {CODES[code].format(teller=teller)}"
            if self._end(PeerAtFault(about, why, code in _LOST), code):
                self._told.set()

    def _end(self, fault: PeerAtFault, code: str) -> bool:
        with self._lock:
            first = self._fault is None and not self._settled
            if first:
                self._fault, self._news = fault, code
        return first

    def _dial(self, peer: str) -> None:
        pause, unresolved = _FIRST_RETRY_SECONDS, 0.0
        while not self._complete.is_set() and not self._stopped.is_set():
            with self._lock:
                there = peer in (self._connections if peer in self._dialled else self._reached)
            if not there:
                try:
                    self._call(peer)
                    unresolved = 0.0
                except Over as told:
                    self._believe(peer, told.about, told.news)
                except CallFailed as failed:
                    unknown = isinstance(failed, Unresolved)
                    unresolved = (unresolved or time.monotonic()) if unknown else 0.0
                    lasting = unknown and time.monotonic() - unresolved > _UNRESOLVED_SECONDS
                    self._note(failed)
                    if failed.final or lasting:
                        self._give_up(failed)
                        return
            self._calls[peer].wait(pause)
            self._calls[peer].clear()
            pause = min(2 * pause, _RETRY_SECONDS)

    def _call(self, peer: str) -> None:
        if peer not in self._dialled:
            hang_up(self._caller.call(peer, PROBE))
            self._seen[peer] = "it is there and has not connected yet"
            with self._lock:
                self._reached.add(peer)
            return
        connection = Connection(self._caller.call(peer, CONTROL), peer)
        with self._lock:
            self._connections[peer] = connection
            self._reached.add(peer)

    def _note(self, failed: CallFailed) -> None:
        before, now = self._seen.get(failed.peer), f"it {failed.why}"
        if isinstance(failed, (NotListening, NotYet)):  # hides no better reason
            self._seen.setdefault(failed.peer, now)
        elif before != now:
            self._seen[failed.peer] = now
            self._tell(f"waiting for {failed.peer}: {now}")

    def _give_up(self, failed: CallFailed) -> None:
        about = self._me if failed.ours else failed.peer
        what = f"{failed.peer} {failed.why}" if failed.ours else f"it {failed.why}"
        fault = PeerAtFault(about, f"cannot take part: {what} (at {self._addresses[failed.peer]})")
        code = failed.code or "unresolved"
        if not self._stopped.is_set() and self._end(fault, code):
            spread(self._caller, self._peers, about, code)
            # Whoever this party cannot call is connected here, or will call: it has a moment to ask.
            with self._lock:
                for connection in self._connections.values():
                    connection.close()
            time.sleep(_ASK_SECONDS)
            self._told.set()


def say_that_it_does_not_start(setup: PartySetup, code: str = "start") -> None:
    """Tell the others that this party will not come, so that they need not wait. What keeps it from starting may keep
    it from speaking, too: without its keys nobody would believe it."""
    try:
        identity = Identity.of(setup)
        caller = Caller(identity, setup.addresses.base, Tls.of(setup.tls))
    except (OSError, ValueError, KeyFileError, WireRefused):
        return
    spread(caller, [party for party in setup.parties if party != setup.party], setup.party, code)


def spread(caller: Caller, peers: Sequence[str], about: str, code: str, seconds: float = NEWS_SECONDS) -> None:
    """Tell every peer that ``about`` cannot take part; waits for those who do not listen yet, no longer than said."""
    deadline = time.monotonic() + seconds

    def tell(peer: str) -> None:
        while time.monotonic() < deadline:
            try:
                hang_up(caller.call(peer, NEWS, about=about, code=code))
                return
            except CallFailed as failed:
                if failed.final or failed.heard:
                    return
            time.sleep(_RETRY_SECONDS)

    threads = [threading.Thread(target=tell, args=(peer,), daemon=True) for peer in peers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline + 1 - time.monotonic()))
