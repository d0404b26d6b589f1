"""How the parties of a run find each other: one connection per pair, between processes that start now.

Computes     a connection to every peer, each to a process that is joining too: one that is in a run already, since it
             has not yet noticed that a peer died, says so and takes that as the news that the peer was started anew.
Adversary    anybody who can reach the port. Without TLS it can connect and waste time; it cannot pass for a party.
Reveals      to whoever connects: a random number. To an authority's members: that a party is joining.
Not covered  a member that relays other parties' bytes: everything that follows is signed.
Assumes      the pinned signing keys; TLS wherever the link leaves the machine.
Cost         one connection per pair and attempt; refused attempts are repeated every `_RETRY_SECONDS`.
Reference    challenge and response, as in ISO/IEC 9798-3.
"""

import contextlib
import logging
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping

from veilflow.pipelines.party.connection import Connection, PeerGone, tls_context
from veilflow.pipelines.party.wire.errors import WireRefused
from veilflow.pipelines.party.wire.identity import SIGNATURE_BYTES, Identity

log = logging.getLogger("veilflow")

_GREETING = "greeting"
_WELCOME, _BUSY = b"welcome", b"busy"
_FIRST_RETRY_SECONDS, _RETRY_SECONDS = 0.01, 0.2
"""Parties that start together miss each other by milliseconds; later ones are waited for patiently."""
_POLL_SECONDS = 0.01
_GREETING_SECONDS = 5.0
_DIAL_SECONDS = 4.0
_AT_A_TIME = 16
"""Greetings in progress; more strangers than that wait in the kernel's queue."""


class Mesh:
    """This party's connections.

    Args:
        identity: who we are, and everybody's public keys.
        addresses: party -> ``host:port``; the order is the same at every party.
        listen: the host to bind to, where it is not the address's own.
        tls: PEM files, or None for plain text on one machine.
        on_return: called with the name of a connected party that comes a second time: it was started anew.
    """

    def __init__(
        self,
        identity: Identity,
        addresses: Mapping[str, str],
        listen: str | None,
        tls: Mapping[str, str] | None,
        on_return: Callable[[str], None],
    ) -> None:
        self._identity, self._addresses, self._on_return = identity, dict(addresses), on_return
        order = list(addresses)
        self._me = identity.party
        self._peers = [party for party in order if party != self._me]
        self._dialled = order[: order.index(self._me)]
        self._server_tls = None if tls is None else tls_context(tls, server=True)
        self._client_tls = None if tls is None else tls_context(tls, server=False)
        self._connections: dict[str, Connection] = {}
        self._why: dict[str, str] = {}
        self._turned_away = ""
        self._lock = threading.Lock()
        self._complete = threading.Event()
        self._stopped = threading.Event()
        self._guests = threading.Semaphore(_AT_A_TIME)
        self._server = _listening(self._addresses[self._me], listen)

    def connect(self, seconds: float) -> None:
        """Wait until every peer is connected.

        Raises:
            PeerGone: one did not come in time; the message says what was last seen of it.
        """
        deadline = time.monotonic() + seconds
        _background(self._accept, "control-accept")
        for peer in self._dialled:
            _background(self._dial, f"control-dial-{peer}", peer)
        while not self._all_there():
            if time.monotonic() > deadline:
                self.close()
                missing = [peer for peer in self._peers if peer not in self._connections]
                peer = missing[0] if missing else self._peers[0]
                raise PeerGone(peer, True, self._what_was_seen(peer, seconds))
            time.sleep(_POLL_SECONDS)

    def send(self, peer: str, raw: bytes) -> None:
        self._connections[peer].send(raw)

    def receive(self, peer: str, seconds: float) -> bytes:
        return self._connections[peer].receive(seconds)

    def close(self) -> None:
        """Stop listening and drop every connection."""
        self._stopped.set()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._server.close()
        with self._lock:
            for connection in self._connections.values():
                connection.close()

    def _all_there(self) -> bool:
        with self._lock:
            for peer in [name for name, connection in self._connections.items() if connection.dead()]:
                self._connections.pop(peer).close()  # it died while we waited for others; it may come again
            if len(self._connections) == len(self._peers):
                self._complete.set()
        return self._complete.is_set()

    def _what_was_seen(self, peer: str, seconds: float) -> str:
        at = self._addresses[peer]
        seen = self._why.get(peer, "it did not connect")
        if peer not in self._dialled and self._turned_away:
            seen += f"; a caller was refused: {self._turned_away}"
        return f"was not there within {seconds:.0f} s (at {at}; {seen})"

    def _accept(self) -> None:
        while not self._stopped.is_set():
            self._guests.acquire()
            try:
                raw, _ = self._server.accept()
            except OSError:  # closed, or out of descriptors for a moment
                self._guests.release()
                self._stopped.wait(0.1)
                continue
            _background(self._greet, "control-guest", raw)

    def _greet(self, raw: socket.socket) -> None:
        """Who has come? Whatever goes wrong with a stranger is a line in our log and nothing else."""
        guest = raw
        try:
            raw.settimeout(_GREETING_SECONDS)
            if self._server_tls is not None:
                guest = self._server_tls.wrap_socket(raw, server_side=True)
            connection = Connection(guest, "a stranger")
            nonce = secrets.token_bytes(32)
            connection.send(nonce)
            peer = self._named(connection.receive(_GREETING_SECONDS), nonce)
            connection.peer = peer
            self._take(connection, peer)
        except (OSError, PeerGone, WireRefused) as error:
            self._turned_away = _in_words(error)
            log.warning("control link: a connection was refused: %s", error)
            guest.close()
        finally:
            self._guests.release()

    def _named(self, answer: bytes, nonce: bytes) -> str:
        name, signature = answer[:-SIGNATURE_BYTES].decode("utf-8", "replace"), answer[-SIGNATURE_BYTES:]
        if name not in self._peers or name in self._dialled:
            raise WireRefused("somebody who is not expected to call")
        self._identity.require(name, _GREETING, _statement(nonce, name, self._me), signature)
        return name

    def _take(self, connection: Connection, peer: str) -> None:
        with self._lock:
            joining = not self._complete.is_set()
            if joining:
                before = self._connections.pop(peer, None)
                if before is not None:
                    before.close()
                connection.send(_WELCOME)
                self._connections[peer] = connection
        if not joining:
            connection.send(_BUSY)
            connection.close()
            self._on_return(peer)

    def _dial(self, peer: str) -> None:
        pause = _FIRST_RETRY_SECONDS
        while not self._complete.is_set() and not self._stopped.is_set():
            with self._lock:
                there = peer in self._connections
            if not there:
                try:
                    self._call(peer)
                except (OSError, PeerGone) as error:
                    if peer not in self._why or not isinstance(error, ConnectionRefusedError):
                        self._why[peer] = _in_words(error)  # that it has stopped listening hides no better reason
            self._stopped.wait(pause)
            pause = min(2 * pause, _RETRY_SECONDS)

    def _call(self, peer: str) -> None:
        host, port = self._addresses[peer].rsplit(":", 1)
        link = socket.create_connection((host, int(port)), _DIAL_SECONDS)
        try:
            if self._client_tls is not None:
                link = self._client_tls.wrap_socket(link)
            connection = Connection(link, peer)
            nonce = connection.receive(_GREETING_SECONDS)
            statement = _statement(nonce, self._me, peer)
            connection.send(self._me.encode() + self._identity.sign(_GREETING, statement))
            if connection.receive(_GREETING_SECONDS) != _WELCOME:
                raise PeerGone(peer, False, "is still busy with an earlier attempt")
        except BaseException:
            link.close()
            raise
        with self._lock:
            self._connections[peer] = connection


def _statement(nonce: bytes, caller: str, called: str) -> bytes:
    return nonce + f"{caller}\0{called}".encode()


def _listening(address: str, listen: str | None) -> socket.socket:
    host, port = address.rsplit(":", 1)
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((listen or host, int(port)))
    server.listen(64)
    return server


def _in_words(error: Exception) -> str:
    if isinstance(error, PeerGone):
        return f"it {error.why}"
    if isinstance(error, TimeoutError):
        return f"it said nothing for {_GREETING_SECONDS:.0f} s, as one does that expects no TLS"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate was refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS with it: {error.reason}"
    return str(getattr(error, "strerror", None) or error).lower()


def _background(work: Callable[..., None], name: str, *args: object) -> None:
    threading.Thread(target=work, args=args, name=name, daemon=True).start()
