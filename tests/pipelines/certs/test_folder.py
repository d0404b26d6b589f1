"""What the authority signs, and what it refuses to."""

import base64
import ipaddress
import stat
import time
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from veilflow.pipelines.certs import folder as certs
from veilflow.pipelines.certs.authority import new_authority, new_tls_key, sign
from veilflow.pipelines.certs.keys import load_signing_key, public_text
from veilflow.pipelines.certs.names import alternative_names
from veilflow.pipelines.certs.private_files import KeyFileError

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def _load(file):
    return x509.load_pem_x509_certificate(file.read_bytes())


def _value(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind).value


def _request(names, common_name="bob", key=None, tamper=False):
    key = key or new_tls_key()
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    )
    made = builder.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(key, hashes.SHA256())
    raw = made.public_bytes(Encoding.DER)
    if tamper:
        raw = raw.replace(b"bob", b"eve")
    body = base64.encodebytes(raw).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n".encode()


def test_the_authority_signs_leaves_only(tmp_path):
    made = certs.init(tmp_path)
    basic = _value(made.certificate, x509.BasicConstraints)
    assert (basic.ca, basic.path_length) == (True, 0)
    usage = _value(made.certificate, x509.KeyUsage)
    assert (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) == (True, True, False)
    assert isinstance(made.key.curve, ec.SECP256R1)
    assert stat.S_IMODE((tmp_path / "ca.key").stat().st_mode) == 0o600
    days = (made.certificate.not_valid_after_utc - datetime.now(timezone.utc)).days
    assert days in (3649, 3650)


def test_a_party_certificate_is_for_that_party_as_client_and_server(tmp_path):
    certs.init(tmp_path)
    files = certs.issue(tmp_path, "hospital", ["10.0.0.1:9100", "hospital.example", "10.0.0.1"])
    found = _load(files.certificate)
    found.verify_directly_issued_by(_load(files.ca))
    assert found.subject.rfc4514_string() == "CN=hospital"
    names = _value(found, x509.SubjectAlternativeName)
    assert list(names) == [
        x509.DNSName("hospital"),
        x509.IPAddress(ipaddress.ip_address("10.0.0.1")),
        x509.DNSName("hospital.example"),
    ]
    assert not _value(found, x509.BasicConstraints).ca
    assert not _value(found, x509.KeyUsage).key_cert_sign
    assert set(_value(found, x509.ExtendedKeyUsage)) == {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
    }
    assert (found.not_valid_after_utc - datetime.now(timezone.utc)).days in (396, 397)
    for private in (files.key, files.identity):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600


def test_the_pin_is_the_public_half_of_the_identity(tmp_path):
    certs.init(tmp_path)
    files = certs.issue(tmp_path, "hospital")
    assert files.pin == public_text(load_signing_key(files.identity))
    assert (tmp_path / "hospital.signing.pub").read_text() == files.pin + "\n"


def test_a_request_is_answered_without_its_private_key(tmp_path):
    mine, theirs = tmp_path / "hospital", tmp_path / "authority"
    certs.init(theirs)
    wanted, files = certs.request(mine, "hospital", ["10.0.0.1"])
    answer = certs.answer(theirs, "hospital", wanted.read_bytes())
    assert sorted(file.name for file in theirs.iterdir()) == ["ca.key", "ca.pem", "hospital.pem"]
    assert _load(answer).public_key() == load_pem_private_key(files.key.read_bytes(), None).public_key()
    assert b"PRIVATE" not in wanted.read_bytes()


def test_renewing_keeps_the_identity_that_others_have_pinned(tmp_path):
    certs.init(tmp_path)
    first = certs.issue(tmp_path, "hospital")
    key = first.key.read_bytes()
    again = certs.issue(tmp_path, "hospital", force=True)
    assert (again.pin, again.key.read_bytes() == key) == (first.pin, False)
    _, requested = certs.request(tmp_path, "hospital", force=True)
    assert requested.pin == first.pin == public_text(load_signing_key(first.identity))


def test_nothing_is_overwritten_unasked(tmp_path):
    certs.init(tmp_path)
    key = (tmp_path / "ca.key").read_bytes()
    with pytest.raises(KeyFileError, match="already there"):
        certs.init(tmp_path)
    certs.issue(tmp_path, "hospital")
    for again in (certs.issue, certs.request):
        with pytest.raises(KeyFileError, match=r"hospital\.key.* already there"):
            again(tmp_path, "hospital")
    assert (tmp_path / "ca.key").read_bytes() == key


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (_request([x509.DNSName("bob"), x509.DNSName("carol")]), "also asks for the name.*carol, which are not bob's"),
        (_request([x509.DNSName("*.example")]), r"\*\.example"),
        (_request([x509.UniformResourceIdentifier("spiffe://carol")]), "spiffe://carol"),
        (_request([x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))]), "10.0.0.0/8"),
        (_request([x509.DNSName("bob")], "carol"), "asks for 'carol', not for 'bob'"),
        (_request([x509.DNSName("bob")], key=ec.generate_private_key(ec.SECP384R1())), "not ECDSA on P-256"),
        (_request([x509.DNSName("bob")], tamper=True), "not signed by its own key"),
        (b"hello", "no PEM certificate request"),
    ],
)
def test_a_request_that_wants_more_than_its_own_is_refused(tmp_path, wanted, message):
    certs.init(tmp_path)
    with pytest.raises(KeyFileError, match=message):
        certs.answer(tmp_path, "bob", wanted)
    assert not (tmp_path / "bob.pem").exists()


def test_extensions_in_a_request_are_ignored(tmp_path):
    certs.init(tmp_path)
    key = new_tls_key()
    asked = x509.CertificateSigningRequestBuilder(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bob")]),
        [x509.Extension(x509.BasicConstraints.oid, True, x509.BasicConstraints(ca=True, path_length=None))],
    ).sign(key, hashes.SHA256())
    file = certs.answer(tmp_path, "bob", asked.public_bytes(Encoding.PEM))
    assert not _value(_load(file), x509.BasicConstraints).ca


@pytest.mark.parametrize("party", ["", "../carol", "bob/..", "bob carol", "1bob", "b" * 65, "bob\n"])
def test_a_name_that_is_no_party_writes_no_file(tmp_path, party):
    certs.init(tmp_path)
    for make in (certs.issue, certs.request):
        with pytest.raises(KeyFileError, match="names no party"):
            make(tmp_path, party)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["ca.key", "ca.pem"]


@pytest.mark.parametrize("address", ["a b", "-x", "http://x", "x/y", "*.example", ""])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(KeyFileError, match="neither an IP address nor a host name"):
        alternative_names("bob", [address])


def test_a_certificate_does_not_outlive_its_authority_and_an_expired_one_signs_nothing():
    authority = new_authority("old", days=10, now=NOW)
    key = new_tls_key().public_key()
    made = sign(authority, key, "bob", alternative_names("bob"), days=397, now=NOW + timedelta(days=5))
    assert made.not_valid_after_utc == authority.certificate.not_valid_after_utc
    with pytest.raises(KeyFileError, match="valid from 2025-12-31 to 2026-01-11 only"):
        sign(authority, key, "bob", alternative_names("bob"), now=NOW + timedelta(days=11))


def test_a_key_of_another_authority_is_refused(tmp_path):
    certs.init(tmp_path / "one")
    certs.init(tmp_path / "other")
    (tmp_path / "one" / "ca.key").write_bytes((tmp_path / "other" / "ca.key").read_bytes())
    with pytest.raises(KeyFileError, match="is not the key of"):
        certs.issue(tmp_path / "one", "bob")


def test_an_authority_key_that_others_can_read_signs_nothing(tmp_path):
    certs.init(tmp_path)
    (tmp_path / "ca.key").chmod(0o644)
    with pytest.raises(KeyFileError, match="mode 0644"):
        certs.issue(tmp_path, "bob")


def test_a_throw_away_authority_leaves_no_key_and_takes_milliseconds(tmp_path):
    parties = ["a", "b", "c", "d"]
    started = time.perf_counter()
    made = certs.ephemeral(tmp_path, parties)
    assert (time.perf_counter() - started) / len(parties) < 0.05
    assert not list(tmp_path.rglob("ca.key"))
    assert len({files.pin for files in made.values()}) == 4
    for party, files in made.items():
        _load(files.certificate).verify_directly_issued_by(_load(files.ca))
        assert set(files.tls) == {"ca", "certificate", "key"}
        assert stat.S_IMODE((tmp_path / party).stat().st_mode) == 0o700
