"""The one port that a party listens on: everybody who connects is asked who it is, and what for.

Computes     TLS handshake and greeting (`greeting`) with each caller; hands the connection to whoever serves its
             channel. Nothing is read from a caller but these.
Adversary    anybody who can reach the port, with thousands of connections that say nothing, little by little, or lies.
Reveals      what `greeting` does.
Not covered  a network that is flooded below TCP.
Assumes      as `greeting`.
Cost         one thread; a caller who says nothing holds a descriptor for `_SECONDS`, and gives it up sooner when
             `_AT_A_TIME` others are there: greetings of parties take milliseconds.
Reference    none.
"""

import contextlib
import logging
import os
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from veilflow.pipelines.cluster.hosts import split
from veilflow.pipelines.cluster.ports import PortTaken, why_not
from veilflow.pipelines.party.front import greeting, tls
from veilflow.pipelines.party.front.greeting import HEAD_BYTES, MAX_GREETING, Answer, Hello
from veilflow.pipelines.party.wire.errors import WireRefused
from veilflow.pipelines.party.wire.identity import SIGNATURE_BYTES, Identity

log = logging.getLogger("veilflow")

_SECONDS = 5.0
_AT_A_TIME = 256
_PER_SOURCE = 64
"""From one address that is no party's; parties are never counted."""
_ACCEPTS = 32
_FULL_SECONDS = 0.05
_BACKLOG = 1024

Admit = Callable[[Hello], "str | Answer"]
"""Whether a caller, whose signature is good, may come in: a code of `greeting.CODES`, or a whole answer."""
Take = Callable[[socket.socket, Hello], None]
"""What becomes of its connection afterwards."""


_NO_NEWS = ("busy", "early", "over")


@dataclass(eq=False)
class _Guest:
    link: socket.socket
    source: str
    until: float
    heard: bytearray = field(default_factory=bytearray)
    offer: bytes = b""
    certificate: tls.Certificate = tls.NONE
    shaking: bool = True


class Door:
    """Listens from the moment it is made; refuses every channel that nobody serves.

    Args:
        identity: who we are, and everybody's public keys.
        address: this party's ``host:port``.
        listen: the host to bind to, where it is not the address's own.
        secured: TLS, or None on one machine.
        sources: addresses of parties: how many connections come from there is not limited.
        on_refusal: told in words, for the screen and the log, of each caller that is refused.
    """

    def __init__(
        self,
        identity: Identity,
        address: str,
        listen: str | None,
        secured: tls.Tls | None,
        sources: frozenset[str] = frozenset(),
        on_refusal: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._identity, self._tls, self._sources = identity, secured, sources
        self._on_refusal = on_refusal
        self._served: dict[str, tuple[Admit, Take]] = {}
        self._by_signature: set[str] = set()
        self._guests: dict[socket.socket, _Guest] = {}
        self._lock = threading.Lock()
        self._server = listening(address, listen)
        self._server.setblocking(False)
        self._wake, self._bell = os.pipe()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._server, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="door", daemon=True)
        self._thread.start()

    def serve(self, channel: str, admit: Admit, take: Take, *, by_signature: bool = False) -> None:
        """From now on, callers for ``channel`` are judged by ``admit`` and handed to ``take``, in the door's thread.

        Args:
            by_signature: also those with a certificate of the authority that is not valid now, or another party's: that
                they cannot take part is believed by their signature alone.
        """
        with self._lock:
            self._served[channel] = (admit, take)
            if by_signature:
                self._by_signature.add(channel)

    def close(self) -> None:
        """Stop listening; connections that were handed over stay. Not from the door's own thread."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        os.write(self._bell, b"x")
        self._thread.join()
        os.close(self._wake)
        os.close(self._bell)

    def _run(self) -> None:
        while not self._closed:
            for key, _ in self._selector.select(self._patience()):
                if key.fileobj is self._server:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._guests:
                    self._attend(self._guests[key.fileobj])
            self._dismiss_late()
        for guest in list(self._guests.values()):
            self._drop(guest)
        self._server.close()
        self._selector.close()

    def _patience(self) -> float | None:
        first = next(iter(self._guests.values()), None)
        return None if first is None else max(0.0, first.until - time.monotonic())

    def _dismiss_late(self) -> None:
        now = time.monotonic()
        for guest in list(self._guests.values()):  # in the order in which they came
            if guest.until > now:
                return
            self._turn_away(guest, f"said too little for {_SECONDS:.0f} s")

    def _accept(self) -> None:
        for _ in range(_ACCEPTS):
            try:
                raw, address = self._server.accept()
            except BlockingIOError:
                return
            except OSError:  # out of descriptors: those who wait longest make room
                self._drop_first()
                time.sleep(_FULL_SECONDS)  # where nobody could, the same caller is announced again at once
                return
            source = str(address[0])
            if source not in self._sources and self._count(source) >= _PER_SOURCE:
                raw.close()
                continue
            while len(self._guests) >= _AT_A_TIME:
                self._drop_first()
            self._greet(raw, source)

    def _greet(self, raw: socket.socket, source: str) -> None:
        raw.setblocking(False)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = raw
        if self._tls is not None:
            try:
                link = self._tls.server.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
            except (OSError, ValueError):  # gone again
                raw.close()
                return
        guest = _Guest(link, source, time.monotonic() + _SECONDS)
        self._guests[link] = guest
        self._selector.register(link, selectors.EVENT_READ)
        self._attend(guest)

    def _count(self, source: str) -> int:
        return sum(guest.source == source for guest in self._guests.values())

    def _drop_first(self) -> None:
        """Whoever has been here longest, strangers' addresses first."""
        guests = list(self._guests.values())
        strangers = [guest for guest in guests if guest.source not in self._sources]
        for guest in (strangers or guests)[:1]:
            self._drop(guest)

    def _drop(self, guest: _Guest) -> None:
        self._release(guest)
        guest.link.close()

    def _release(self, guest: _Guest) -> None:
        self._guests.pop(guest.link, None)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(guest.link)

    def _turn_away(self, guest: _Guest, why: str) -> None:
        self._on_refusal(f"a caller from {guest.source} was refused: it {why}")
        self._drop(guest)

    def _attend(self, guest: _Guest) -> None:
        """Go on with a caller as far as it goes now. Whatever goes wrong with it is a line in our log."""
        try:
            if guest.shaking:
                self._shake(guest)
            signed = self._hear(guest)
            if signed is not None:
                self._judge(guest, signed)
        except (BlockingIOError, ssl.SSLWantReadError):
            self._await(guest, selectors.EVENT_READ)
        except ssl.SSLWantWriteError:
            self._await(guest, selectors.EVENT_WRITE)
        except (OSError, ValueError, WireRefused) as error:
            self._turn_away(guest, in_words(error))
        except Exception:  # whatever a caller has found, the others are still to be let in
            log.exception("a caller from %s", guest.source)
            self._turn_away(guest, "could not be understood")

    def _await(self, guest: _Guest, event: int) -> None:
        if guest.link in self._guests:
            self._selector.modify(guest.link, event)

    def _shake(self, guest: _Guest) -> None:
        if isinstance(guest.link, ssl.SSLSocket):
            guest.link.do_handshake()
            if guest.link.selected_alpn_protocol() != tls.PROTOCOL:
                raise WireRefused("speaks another protocol, or is another version of VeilFlow")
            der = guest.link.getpeercert(binary_form=True)
            assert der, "a certificate is required"
            guest.certificate = tls.Certificate.read(der)
        guest.shaking = False
        guest.offer = greeting.Offer().raw()
        guest.link.send(greeting.framed(guest.offer))  # a first word always fits

    def _hear(self, guest: _Guest) -> bytes | None:
        while True:
            head = guest.heard[:HEAD_BYTES]
            size = int.from_bytes(head, "big") if len(head) == HEAD_BYTES else None
            if size is not None and not SIGNATURE_BYTES < size <= MAX_GREETING:
                raise WireRefused("said something that is no greeting")
            wanted = HEAD_BYTES + (size or 0)
            if size is not None and len(guest.heard) == wanted:
                return bytes(guest.heard[HEAD_BYTES:])
            piece = guest.link.recv(wanted - len(guest.heard))
            if not piece:
                raise WireRefused("went away")
            guest.heard += piece

    def _judge(self, guest: _Guest, signed: bytes) -> None:
        hello, raw, _ = greeting.open_hello(signed)
        certificates = (b"" if self._tls is None else self._tls.digest, guest.certificate.digest)
        code, why = self._verdict(guest, hello, signed, certificates)
        with self._lock:
            admit, take = self._served.get(hello.channel, (None, None))
        said = "early" if admit is None else admit(hello) if code == "welcome" else code
        answer = said if isinstance(said, Answer) else greeting.parse(Answer, b'{"code":"%s"}' % said.encode())
        signed = greeting.signed_answer(self._identity, guest.offer, raw, answer, certificates)
        guest.link.send(greeting.framed(signed))
        if answer.code in _NO_NEWS and not why:
            self._drop(guest)
            return
        if answer.code != "welcome" or take is None:
            self._turn_away(
                guest, why or f"is {hello.caller}, who was told that this party {greeting.CODES[answer.code]}"
            )
            return
        self._release(guest)
        guest.link.setblocking(True)
        take(guest.link, hello)

    def _verdict(
        self, guest: _Guest, hello: Hello, signed: bytes, certificates: tuple[bytes, bytes]
    ) -> tuple[str, str]:
        me = self._identity.party
        if hello.called != me or hello.caller == me or hello.caller not in self._identity.pins:
            return "stranger", f"is not expected: it says it is {hello.caller!r} and calls {hello.called!r}"
        by_signature = hello.channel in self._by_signature
        if self._tls is not None and not by_signature and hello.caller not in guest.certificate.names:
            named = ", ".join(sorted(guest.certificate.names))
            return "name", f"says it is {hello.caller}, with a certificate of {named}"
        try:
            greeting.require_hello(self._identity, guest.offer, signed, certificates)
        except WireRefused as error:
            return "key", f"says it is {hello.caller}, but {error}"
        if guest.certificate.problem and not by_signature:
            return "dates", f"is {hello.caller}: {guest.certificate.problem}{clocks(hello.clock)}"
        return "welcome", ""


def clocks(theirs: float) -> str:
    """What to add to a problem of dates: how far the other end's clock is from ours."""
    ahead = theirs - time.time()
    if abs(ahead) < 300:
        return "; its clock agrees with this machine's"
    days, hours = divmod(abs(ahead) / 3600, 24)
    by = f"{days:.0f} days" if days >= 2 else f"{24 * days + hours:.1f} hours"
    return f"; its clock is {by} {'ahead of' if ahead > 0 else 'behind'} this machine's"


def listening(address: str, listen: str | None) -> socket.socket:
    """A listening TCP socket for an address, IPv4 or IPv6.

    Raises:
        PortTaken: it cannot be listened on.
    """
    host, port = split(address)
    try:
        return _listening(listen or host, port)
    except (OSError, UnicodeError) as error:
        raise PortTaken(why_not(listen or host, port, error)) from None


def _listening(host: str, port: int) -> socket.socket:
    family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    server = socket.socket(family, socket.SOCK_STREAM)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        server.bind(where)
        server.listen(_BACKLOG)
    except BaseException:
        server.close()
        raise
    return server


def in_words(error: Exception) -> str:
    """What went wrong with the other end of a connection, as a predicate."""
    if isinstance(error, WireRefused):
        return str(error)
    if isinstance(error, TimeoutError):
        return f"said nothing for {_SECONDS:.0f} s, as one does that expects no TLS"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"showed a certificate that is not accepted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return _alert(error.reason or "")
    return str(getattr(error, "strerror", None) or error).lower()


_ALERTS = {
    "TLSV1_ALERT_UNKNOWN_CA": "does not accept this party's certificate (it is of another authority)",
    "SSLV3_ALERT_BAD_CERTIFICATE": "does not accept this party's certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "does not accept this party's certificate (expired)",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "does not accept this party's certificate (not for this use)",
    "TLSV1_ALERT_DECRYPT_ERROR": "does not accept this party's certificate (not signed by its authority)",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "showed no certificate",
    "WRONG_VERSION_NUMBER": "speaks no TLS",
    "HTTP_REQUEST": "speaks no TLS",
    "HTTPS_PROXY_REQUEST": "speaks no TLS",
    "UNSUPPORTED_PROTOCOL": "speaks no TLS 1.3",
}


def _alert(reason: str) -> str:
    return _ALERTS.get(reason, f"broke off TLS ({reason.lower().replace('_', ' ')})")
