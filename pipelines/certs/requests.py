"""Certificate requests: how a party gets a certificate without showing anyone its private key."""

import hashlib
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from veilflow.pipelines.certs.names import check_party, common_name, names_in, subject
from veilflow.pipelines.certs.private_files import KeyFileError

_LOCAL = "localhost"


def new_request(key: ec.EllipticCurvePrivateKey, party: str, names: list[x509.GeneralName]) -> bytes:
    """A request (PEM) for a certificate over ``key``, signed by it."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject(party))
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def checked_request(pem: bytes, party: str) -> tuple[ec.EllipticCurvePublicKey, list[x509.GeneralName]]:
    """The public key and names of a request that may be signed for ``party``.

    A request is written by the one who wants to be trusted. So ``party`` comes from the authority's holder, and a name
    in the request may be the party's own, an IP address or a dotted host name, but not another party's. Every other
    extension it asks for is ignored.

    Raises:
        KeyFileError: it is none, not signed by its own key, for someone else, or its key is not on P-256.
    """
    check_party(party)
    try:
        request = x509.load_pem_x509_csr(pem)
        signed, names, asked = request.is_signature_valid, list(names_in(request.extensions)), request.subject
        key = request.public_key()
    except Exception:  # the file comes from outside: no parser error may end in a traceback
        raise KeyFileError("the request is no PEM certificate request; ask for the .csr file again.") from None
    if not signed:
        raise KeyFileError("the request is not signed by its own key: it was changed on the way.")
    if common_name(asked) != party:
        raise KeyFileError(f"the request asks for '{common_name(asked)}', not for '{party}'.")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyFileError("the request's key is not ECDSA on P-256, which `veilflow certs request` makes.")
    strange = [str(name.value) for name in names if not _may_ask(name, party)]
    if strange:
        raise KeyFileError(f"the request also asks for the name(s) {', '.join(strange)}, which are not {party}'s.")
    return key, names


def _may_ask(name: x509.GeneralName, party: str) -> bool:
    if isinstance(name, x509.IPAddress):
        return isinstance(name.value, (ipaddress.IPv4Address, ipaddress.IPv6Address))
    if not isinstance(name, x509.DNSName) or "*" in name.value:
        return False
    return name.value in (party, _LOCAL) or "." in name.value


def key_fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """16 hexadecimal groups that two people can compare on the telephone."""
    raw = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = hashlib.sha256(raw).hexdigest()
    return " ".join(digest[start : start + 4] for start in range(0, 64, 4))
