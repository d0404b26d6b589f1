"""The other side of `door`: connect to a party's port, make sure that it is that party, say what for."""

import contextlib
import socket
import ssl
import time
from collections.abc import Mapping

from veilflow.pipelines.cluster.hosts import split
from veilflow.pipelines.party.front import greeting, tls
from veilflow.pipelines.party.front.door import clocks, in_words
from veilflow.pipelines.party.front.greeting import HEAD_BYTES, MAX_GREETING, Hello
from veilflow.pipelines.party.wire.errors import WireRefused
from veilflow.pipelines.party.wire.identity import Identity

DIAL_SECONDS = 4.0
GREETING_SECONDS = 5.0


class CallFailed(Exception):
    """A call that came to nothing."""

    def __init__(self, peer: str, why: str, code: str = "", *, heard: bool = False, ours: bool = False) -> None:
        super().__init__(f"{peer} {why}")
        self.peer = peer
        self.why = why
        """A predicate of ``peer``."""
        self.code = code
        """What news of it are called (`mesh.CODES`); empty where trying again may help."""
        self.heard = heard
        """It was ``peer`` that answered, and nobody else."""
        self.ours = ours
        """The cause is this party's own certificate, key or clock, as ``peer`` sees it."""

    @property
    def final(self) -> bool:
        """Whether trying again would not help."""
        return bool(self.code)


class Over(CallFailed):
    """A party tells that somebody cannot take part."""

    def __init__(self, peer: str, about: str, news: str) -> None:
        super().__init__(peer, "does not go on", heard=True)
        self.about, self.news = about, news


class NotListening(CallFailed):
    """Nobody listens at a party's address."""


class NotYet(CallFailed):
    """A party listens and has not come so far that it serves the link; or it never will."""


class Unresolved(CallFailed):
    """The name in a party's address is not known here; it may be a little later."""


class Caller:
    """Connections from this party to the others' ports."""

    def __init__(self, identity: Identity, addresses: Mapping[str, str], secured: tls.Tls | None) -> None:
        self._identity, self._addresses, self._tls = identity, dict(addresses), secured

    def call(self, peer: str, channel: str, job: str = "", about: str = "", code: str = "") -> socket.socket:
        """A connection to ``peer``, who has been made sure of and has let us in; blocking, without a time limit.

        Raises:
            CallFailed: there is none.
        """
        link = self._connected(peer)
        try:
            certificate = self._certificate(peer, link)
            hello = Hello(caller=self._identity.party, called=peer, channel=channel, job=job, about=about, code=code)
            self._greet(peer, link, hello, certificate)
            link.settimeout(None)
        except BaseException as error:
            link.close()
            if isinstance(error, ssl.SSLError):
                raise _broken(peer, error) from None
            if isinstance(error, OSError):
                raise CallFailed(peer, in_words(error)) from None
            raise
        return link

    def _connected(self, peer: str) -> socket.socket:
        host, port = split(self._addresses[peer])
        try:
            raw = socket.create_connection((host, port), DIAL_SECONDS)
        except socket.gaierror:
            raise Unresolved(peer, f"has an address whose name '{host}' is not known here") from None
        except ConnectionRefusedError:
            raise NotListening(peer, "does not listen (connection refused)") from None
        except TimeoutError:
            raise CallFailed(peer, f"did not answer within {DIAL_SECONDS:.0f} s") from None
        except (OSError, UnicodeError) as error:
            raise CallFailed(peer, f"cannot be reached: {in_words(error)}") from None
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.settimeout(GREETING_SECONDS)
        if self._tls is None:
            return raw
        try:
            return self._tls.client.wrap_socket(raw)
        except ssl.SSLError as error:
            raw.close()
            raise _broken(peer, error) from None
        except OSError as error:
            raw.close()
            raise CallFailed(peer, in_words(error)) from None

    def _certificate(self, peer: str, link: socket.socket) -> tls.Certificate:
        if not isinstance(link, ssl.SSLSocket):
            return tls.NONE
        if link.selected_alpn_protocol() != tls.PROTOCOL:
            raise CallFailed(peer, "runs another version of VeilFlow, or something else listens there", "identity")
        der = link.getpeercert(binary_form=True)
        assert der, "a certificate is required"
        found = tls.Certificate.read(der)
        if peer not in found.names:
            raise CallFailed(peer, f"shows a certificate of {', '.join(sorted(found.names))}", "certificate")
        return found

    def _greet(self, peer: str, link: socket.socket, hello: Hello, certificate: tls.Certificate) -> None:
        certificates = (certificate.digest, b"" if self._tls is None else self._tls.digest)
        try:
            raw = _frame(link)
            offer = greeting.parse(greeting.Offer, raw)
            signed = greeting.signed_hello(self._identity, raw, hello, certificates)
            link.sendall(greeting.framed(signed))
            answer = greeting.open_answer(self._identity, peer, raw, hello.raw(), _frame(link), certificates)
        except WireRefused as error:
            raise CallFailed(peer, f"is not believed: {error}", "identity") from None
        if certificate.problem:
            raise CallFailed(peer, certificate.problem + clocks(offer.clock), "clock", heard=True)
        code = answer.code
        if code == "over":
            raise Over(peer, answer.about, answer.news)
        if code == "early":
            raise NotYet(peer, greeting.CODES[code], heard=True)
        if code == "dates":
            raise CallFailed(peer, greeting.CODES[code] + clocks(offer.clock), "clock", heard=True, ours=True)
        if code != "welcome":
            news = {"key": "identity", "name": "certificate", "stranger": "identity"}.get(code, "")
            raise CallFailed(peer, greeting.CODES[code], news, heard=True, ours=bool(news))


def _frame(link: socket.socket) -> bytes:
    deadline = time.monotonic() + GREETING_SECONDS
    heard = bytearray()
    wanted = HEAD_BYTES
    while len(heard) < wanted:
        piece = link.recv(wanted - len(heard))
        if not piece:
            raise ConnectionResetError(0, "has closed the connection")
        heard += piece
        if time.monotonic() > deadline:
            raise TimeoutError
        if len(heard) == HEAD_BYTES:
            size = int.from_bytes(heard, "big")
            if not 0 < size <= MAX_GREETING:
                raise WireRefused("it said something that is no greeting")
            wanted += size
    return bytes(heard[HEAD_BYTES:])


def _broken(peer: str, error: ssl.SSLError) -> CallFailed:
    """A handshake whose cause is one end's files will fail again; where the network broke it off, it may not."""
    why, reason = in_words(error), error.reason or ""
    if isinstance(error, ssl.SSLCertVerificationError) or reason == "WRONG_VERSION_NUMBER":
        return CallFailed(peer, why, "certificate")
    if "does not accept" in why:
        return CallFailed(peer, why, "certificate", ours=True)
    return CallFailed(peer, why)


def hang_up(link: socket.socket) -> None:
    """Close, whatever state it is in."""
    with contextlib.suppress(OSError):
        link.shutdown(socket.SHUT_RDWR)
    link.close()
