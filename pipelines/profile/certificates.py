"""Whether a party's certificate will do, before brpc is asked: it answers a bad one with silence or a hang."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from veilflow.pipelines.certs.names import common_name, names_in
from veilflow.pipelines.profile.violation import Violation

_WHERE = "tls"
_MIN_RSA_BITS = 2048
_MIN_CURVE_BITS = 256
_WEAK_HASHES = ("md5", "sha1")
_AGAIN = "get a new one: `veilflow certs request`, then `veilflow certs issue --request` at the authority's holder"


@dataclass(frozen=True)
class TlsFacts:
    """What the three PEM files held; None where one could not be parsed. The private key itself is not kept."""

    authorities: tuple[x509.Certificate, ...] | None
    chain: tuple[x509.Certificate, ...] | None
    """The party's certificate first."""
    key: bytes | None
    """DER of the private key's public half."""


def read_tls(ca: bytes, certificate: bytes, key: bytes) -> TlsFacts:
    """Parse the content of the three files."""
    try:
        public = load_pem_private_key(key, password=None).public_key()
        half = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception:  # whatever a parser says about a private key may hold some of it
        half = None
    return TlsFacts(_certificates(ca), _certificates(certificate), half)


def _certificates(pem: bytes) -> tuple[x509.Certificate, ...] | None:
    try:
        return tuple(x509.load_pem_x509_certificates(pem)) or None
    except ValueError:
        return None


def certificate_violations(tls: TlsFacts, party: str, now: datetime | None = None) -> Iterator[Violation]:
    """Everything that keeps this certificate from being ``party``'s, now."""
    unread = {
        "the CA file": tls.authorities,
        "the certificate file": tls.chain,
        "the key file": tls.key,
    }
    for name, found in unread.items():
        if found is None:
            yield Violation(f"{name} holds none", _WHERE, "It cannot be read as unencrypted PEM.", _AGAIN)
    at = now or datetime.now(timezone.utc)
    for issuer in tls.authorities or ():
        yield from _dates(issuer, f"the CA certificate '{common_name(issuer.subject)}'", at)
        yield from _strength(issuer, f"the CA certificate '{common_name(issuer.subject)}'")
    if not tls.chain:
        return
    own = tls.chain[0]
    yield from _dates(own, "the certificate", at)
    yield from _strength(own, "the certificate")
    yield from _belongs(own, tls, party)
    if tls.authorities and not _issued(own, [*tls.authorities, *tls.chain[1:]]):
        yield Violation("the certificate is not signed by the CA file's authority", _WHERE, _PEERS, _AGAIN)


_PEERS = "The other parties would refuse it."


def _dates(certificate: x509.Certificate, what: str, now: datetime) -> Iterator[Violation]:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < start:
        fix = "set this machine's clock right, or wait"
        yield Violation(f"{what} is not valid before {start:%Y-%m-%d %H:%M} UTC", _WHERE, _PEERS, fix)
    if now >= end:
        yield Violation(f"{what} has expired on {end:%Y-%m-%d %H:%M} UTC", _WHERE, _PEERS, _AGAIN)


def _strength(certificate: x509.Certificate, what: str) -> Iterator[Violation]:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _MIN_RSA_BITS:
        yield Violation(f"{what} has an RSA key of {key.key_size} bits", _WHERE, "It can be factored.", _AGAIN)
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size < _MIN_CURVE_BITS:
        yield Violation(f"{what} has a key on {key.curve.name}", _WHERE, "The curve is too small.", _AGAIN)
    if isinstance(key, dsa.DSAPublicKey):
        yield Violation(f"{what} has a DSA key", _WHERE, "TLS no longer takes them.", _AGAIN)
    digest = certificate.signature_hash_algorithm
    if digest is not None and digest.name in _WEAK_HASHES:
        yield Violation(f"{what} is signed with {digest.name}", _WHERE, "Such signatures can be forged.", _AGAIN)


def _belongs(own: x509.Certificate, tls: TlsFacts, party: str) -> Iterator[Violation]:
    half = own.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if tls.key is not None and tls.key != half:
        yield Violation("the key does not belong to the certificate", _WHERE, "No link would come up.", _AGAIN)
    named = {name.value for name in names_in(own.extensions) if isinstance(name, x509.DNSName)}
    if party not in named | {common_name(own.subject)}:
        why = f"Its subject is '{common_name(own.subject)}'."
        yield Violation(f"the certificate does not name '{party}'", _WHERE, why, _AGAIN)
    try:
        usages = set(own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return
    if not {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH} <= usages:
        why = "Every party is client and server at once."
        yield Violation("the certificate may not be used as client and server", _WHERE, why, _AGAIN)


def _issued(own: x509.Certificate, issuers: Sequence[x509.Certificate]) -> bool:
    for issuer in issuers:
        try:
            own.verify_directly_issued_by(issuer)
            return issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            continue
    return False
