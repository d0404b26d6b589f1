"""TLS of every connection between parties: 1.3, a certificate of the run's authority at both ends.

Dates are left out of the handshake and compared right after it (`dates_problem`), before anything is taken from the
other end: so that an answer can say whose certificate or clock is wrong, where TLS would only break off.
"""

import hashlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from veilflow.pipelines.certs.names import common_name, names_in

PROTOCOL = "veilflow/2"
"""Named in the handshake (ALPN), so that another version, and another program, is known before a word is exchanged."""
_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL; Python has no name for it."""


@dataclass(frozen=True)
class Tls:
    """Both directions' contexts and the digest of this party's own certificate."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    digest: bytes

    @staticmethod
    def of(files: Mapping[str, str] | None) -> "Tls | None":
        """From the PEM files ``ca``, ``certificate`` and ``key``; None where the run has no TLS."""
        if files is None:
            return None
        own = x509.load_pem_x509_certificates(Path(files["certificate"]).read_bytes())[0]
        digest = hashlib.sha256(own.public_bytes(Encoding.DER)).digest()
        return Tls(_context(files, server=True), _context(files, server=False), digest)


def _context(files: Mapping[str, str], server: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the party's name is compared, not its address: `Certificate.names`
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags = ssl.VerifyFlags(context.verify_flags | _NO_CHECK_TIME)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(files["certificate"], files["key"])
    context.load_verify_locations(files["ca"])
    context.set_alpn_protocols([PROTOCOL])
    if server:
        context.num_tickets = 0  # nobody resumes a session
    return context


@dataclass(frozen=True)
class Certificate:
    """What the other end showed."""

    digest: bytes
    """SHA-256 of its DER form; signed in the greeting, so that nobody in the middle can pass the greeting on."""
    names: frozenset[str]
    problem: str
    """Why it is not valid now, by this machine's clock; empty where it is."""

    @staticmethod
    def read(der: bytes, now: datetime | None = None) -> "Certificate":
        """Names and dates of a certificate in DER form."""
        found = x509.load_der_x509_certificate(der)
        named = {str(name.value) for name in names_in(found.extensions) if isinstance(name, x509.DNSName)}
        problem = dates_problem(found, now or datetime.now(timezone.utc))
        return Certificate(hashlib.sha256(der).digest(), frozenset(named | {common_name(found.subject)}), problem)


def dates_problem(certificate: x509.Certificate, now: datetime) -> str:
    """Empty, or how ``now`` lies outside of the certificate's dates."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < start:
        return f"its certificate is not valid before {start:%Y-%m-%d %H:%M} UTC"
    if now >= end:
        return f"its certificate has expired on {end:%Y-%m-%d %H:%M} UTC"
    return ""


NONE = Certificate(b"", frozenset(), "")
"""Without TLS."""
