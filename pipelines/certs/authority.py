"""A private certificate authority: its own certificate, and the ones it signs.

ECDSA on P-256 with SHA-256 throughout: what every TLS library reads, and small. The authority signs leaves only (path
length 0). A leaf may act as client and as server, because every party is both.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from veilflow.pipelines.certs.names import subject
from veilflow.pipelines.certs.private_files import KeyFileError

AUTHORITY_DAYS = 3650
PARTY_DAYS = 397
"""The longest that browsers accept; a year and a month to renew in."""
_CLOCK_SKEW = timedelta(hours=1)


@dataclass(frozen=True)
class Authority:
    """A CA certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def new_tls_key() -> ec.EllipticCurvePrivateKey:
    """A P-256 key from the operating system's randomness."""
    return ec.generate_private_key(ec.SECP256R1())


def tls_key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS#8, unencrypted: brpc asks nobody for a passphrase."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """A certificate as text."""
    return certificate.public_bytes(Encoding.PEM)


def new_authority(name: str, days: int = AUTHORITY_DAYS, now: datetime | None = None) -> Authority:
    """A self-signed authority, valid for ``days`` from ``now``."""
    key = new_tls_key()
    builder = _builder(subject(name), subject(name), key.public_key(), *_dates(days, now))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(authority=True), critical=True)
    return Authority(builder.sign(key, hashes.SHA256()), key)


def sign(
    authority: Authority,
    public_key: ec.EllipticCurvePublicKey,
    party: str,
    names: list[x509.GeneralName],
    days: int = PARTY_DAYS,
    now: datetime | None = None,
) -> x509.Certificate:
    """A certificate for ``party``: common name and alternative names as given, at most as long valid as the authority.

    Raises:
        KeyFileError: the authority itself is not valid at ``now``.
    """
    issuer = authority.certificate
    start, end = _dates(days, now)
    at = start + _CLOCK_SKEW
    if not issuer.not_valid_before_utc <= at < issuer.not_valid_after_utc:
        raise KeyFileError(
            f"the authority is valid from {issuer.not_valid_before_utc:%Y-%m-%d} to "
            f"{issuer.not_valid_after_utc:%Y-%m-%d} only: make a new one with `veilflow certs init --force`."
        )
    start, end = max(start, issuer.not_valid_before_utc), min(end, issuer.not_valid_after_utc)
    builder = _builder(subject(party), issuer.subject, public_key, start, end)
    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    of_issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(usages, critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(of_issuer, critical=False)
    )
    return builder.sign(authority.key, hashes.SHA256())


def _dates(days: int, now: datetime | None) -> tuple[datetime, datetime]:
    at = now or datetime.now(timezone.utc)
    return at - _CLOCK_SKEW, at + timedelta(days=days)


def _builder(
    name: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(public_key)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(end)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
