"""What a certificate, request or public key file says, for people."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from veilflow.pipelines.certs.keys import parse_public
from veilflow.pipelines.certs.names import common_name, names_in, text
from veilflow.pipelines.certs.private_files import KeyFileError
from veilflow.pipelines.certs.requests import key_fingerprint

RENEW_BEFORE = timedelta(days=30)
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Description:
    """Lines of (label, value), and what to worry about."""

    lines: list[tuple[str, str]]
    warning: str = ""


def describe(file: Path, now: datetime | None = None) -> Description:
    """Read a public file: certificate, request, or ``.pub``.

    Raises:
        KeyFileError: it is none of these; a private key is recognised and not printed.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(_MAX_BYTES)
    except OSError as error:
        raise KeyFileError(f"{file} cannot be read: {error.strerror or error}.") from None
    if b"PRIVATE KEY-----" in content:
        raise KeyFileError(f"{file} holds a private key, which is shown to nobody. Its public part has another file.")
    try:
        if b"BEGIN CERTIFICATE REQUEST" in content:
            return _request(x509.load_pem_x509_csr(content))
        if b"BEGIN CERTIFICATE" in content:
            return _certificate(x509.load_pem_x509_certificate(content), now or datetime.now(timezone.utc))
    except ValueError:
        raise KeyFileError(f"{file} is damaged: it cannot be parsed. Get it again.") from None
    return _pin(file, content)


def validity_warning(certificate: x509.Certificate, now: datetime) -> str:
    """What is wrong, or soon will be, with the dates; empty where nothing is."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < start:
        return f"not valid before {start:%Y-%m-%d %H:%M} UTC: is this machine's clock right?"
    if now >= end:
        return f"expired on {end:%Y-%m-%d %H:%M} UTC: get a new one"
    if now >= end - RENEW_BEFORE:
        return f"expires in {(end - now).days} day(s): get a new one"
    return ""


def _certificate(certificate: x509.Certificate, now: datetime) -> Description:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    lines = [
        ("certificate", common_name(certificate.subject) or certificate.subject.rfc4514_string()),
        ("issuer", common_name(certificate.issuer) or certificate.issuer.rfc4514_string()),
        ("names", text(names_in(certificate.extensions))),
        ("valid", f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"),
        ("SHA-256", certificate.fingerprint(hashes.SHA256()).hex(":").upper()),
        *_key_line(certificate.public_key()),
    ]
    return Description(lines, validity_warning(certificate, now))


def _request(request: x509.CertificateSigningRequest) -> Description:
    lines = [
        ("request of", common_name(request.subject)),
        ("names", text(names_in(request.extensions))),
        *_key_line(request.public_key()),
    ]
    return Description(lines, "" if request.is_signature_valid else "not signed by its own key: it was changed")


def _key_line(key: object) -> list[tuple[str, str]]:
    return [("key", key_fingerprint(key))] if isinstance(key, ec.EllipticCurvePublicKey) else []


def _pin(file: Path, content: bytes) -> Description:
    try:
        pin = content.decode("ascii").strip()
        parse_public(pin)
    except (UnicodeDecodeError, KeyFileError):
        raise KeyFileError(f"{file} is no certificate, request or public signing key.") from None
    return Description([("signing key", pin)])
