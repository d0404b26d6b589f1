"""What the profile reads from the machine: certificates, keys, folders."""

import os
import stat
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from veilflow.components.devices.shell_safe import is_plain
from veilflow.pipelines.certs import folder as certs
from veilflow.pipelines.certs.authority import certificate_pem, new_authority, new_tls_key, sign, tls_key_pem
from veilflow.pipelines.certs.names import alternative_names, subject
from veilflow.pipelines.cluster.addresses import on_loopback
from veilflow.pipelines.party.setup import PartySetup
from veilflow.pipelines.profile import facts_of, private_tmp, violations, wipe_tmp
from veilflow.pipelines.profile.certificates import certificate_violations, read_tls
from veilflow.pipelines.profile.machine import FolderFacts, current_umask, environment_violations, temp_violations

PARTIES = ["hospital", "insurer"]
NOW = datetime(2026, 6, 1, tzinfo=timezone.utc)


def _leaf(authority, party="hospital", days=397, now=NOW, key=None):
    key = key or new_tls_key()
    return certificate_pem(sign(authority, key.public_key(), party, alternative_names(party), days, now)), key


def _said(ca, certificate, key, party="hospital", now=NOW) -> list[str]:
    return [found.what for found in certificate_violations(read_tls(ca, certificate, key), party, now)]


@pytest.fixture(scope="module")
def authority():
    return new_authority("A", now=NOW)


@pytest.fixture(scope="module")
def ca(authority):
    return certificate_pem(authority.certificate)


def test_a_good_certificate_passes(authority, ca):
    certificate, key = _leaf(authority)
    assert _said(ca, certificate, tls_key_pem(key)) == []
    traditional = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert _said(ca, certificate, traditional) == []


def test_dates_are_checked_of_the_certificate_and_of_its_authority(authority, ca):
    certificate, key = _leaf(authority, days=10)
    private = tls_key_pem(key)
    assert _said(ca, certificate, private, now=NOW + timedelta(days=10)) == [
        "the certificate has expired on 2026-06-11 00:00 UTC"
    ]
    assert _said(ca, certificate, private, now=NOW - timedelta(days=1))[1] == (
        "the certificate is not valid before 2026-05-31 23:00 UTC"
    )
    late = _said(ca, certificate, private, now=NOW + timedelta(days=4000))
    assert late[0].startswith("the CA certificate 'A' has expired on ")


def test_a_certificate_of_somebody_else_is_refused(authority, ca):
    certificate, key = _leaf(authority, "insurer")
    assert _said(ca, certificate, tls_key_pem(key)) == ["the certificate does not name 'hospital'"]


def test_a_key_of_another_certificate_is_refused(authority, ca):
    certificate, _ = _leaf(authority)
    assert _said(ca, certificate, tls_key_pem(new_tls_key())) == ["the key does not belong to the certificate"]


def test_a_rogue_authority_is_refused_even_under_the_same_name(ca):
    certificate, key = _leaf(new_authority("A", now=NOW))
    assert _said(ca, certificate, tls_key_pem(key)) == ["the certificate is not signed by the CA file's authority"]


def test_a_leaf_cannot_act_as_an_authority(authority):
    signer, key = _leaf(authority, "mallory")
    fake = type(authority)(x509.load_pem_x509_certificate(signer), key)
    certificate, own = _leaf(fake)
    assert _said(signer, certificate, tls_key_pem(own)) == ["the certificate is not signed by the CA file's authority"]


@pytest.mark.parametrize(
    ("key", "what"),
    [
        (rsa.generate_private_key(65537, 1024), "the certificate has an RSA key of 1024 bits"),
        (ec.generate_private_key(ec.SECP224R1()), "the certificate has a key on secp224r1"),
    ],
)
def test_weak_keys_are_refused(authority, ca, key, what):
    certificate, _ = _leaf(authority, key=key)
    assert _said(ca, certificate, tls_key_pem(key)) == [what]


def test_a_certificate_for_servers_only_is_refused(authority, ca):
    key = new_tls_key()
    builder = x509.CertificateBuilder().subject_name(subject("hospital")).issuer_name(authority.certificate.subject)
    builder = builder.public_key(key.public_key()).serial_number(1).not_valid_before(NOW)
    builder = builder.not_valid_after(NOW + timedelta(days=1))
    usage = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH])
    made = builder.add_extension(usage, critical=False).sign(authority.key, hashes.SHA256())
    assert _said(ca, certificate_pem(made), tls_key_pem(key)) == [
        "the certificate may not be used as client and server"
    ]


def test_files_that_are_none_are_named_without_their_content():
    assert _said(b"x", b"y", b"z") == [
        "the CA file holds none",
        "the certificate file holds none",
        "the key file holds none",
    ]


@pytest.fixture
def machine(tmp_path):
    files = certs.ephemeral(tmp_path / "certs", PARTIES)

    def look(in_party=False, **changes):
        setup = PartySetup(
            party="hospital",
            parties=PARTIES,
            addresses=on_loopback(PARTIES, {}),
            folder=tmp_path / "run",
            data_root=tmp_path,
            tls=files["hospital"].tls,
            identity=files["hospital"].identity,
            pins={party: each.pin for party, each in files.items()},
            profile="production",
        )
        found = facts_of(replace(setup, **changes), in_party=in_party)
        return [str(each) for each in violations(replace(found, environment={}))]

    look.files = files["hospital"]
    return look


def test_a_machine_in_order_passes(machine):
    assert machine() == []


@pytest.mark.parametrize("which", ["key", "identity"])
def test_keys_that_others_can_read_stop_the_run(machine, which):
    file = getattr(machine.files, which)
    file.chmod(0o640)
    (said,) = machine()
    assert "has mode 0640" in said
    assert f"chmod 600 {file}" in said


@pytest.mark.parametrize("which", ["key", "identity", "certificate", "ca"])
def test_files_that_are_gone_stop_the_run(machine, which):
    file = getattr(machine.files, which)
    file.unlink()
    assert any(str(file) in said for said in machine())


def test_private_content_is_never_in_what_is_said(machine):
    secret = machine.files.key.read_text().splitlines()[1]
    machine.files.key.write_text(machine.files.key.read_text().replace("END", "EMD"))
    machine.files.identity.write_text(secret)
    said = "\n".join(machine())
    assert "the key file holds none" in said
    assert secret not in said


def test_a_host_to_listen_on_counts_as_an_address(machine, tmp_path):
    setup = PartySetup("hospital", PARTIES, on_loopback(PARTIES, {}), tmp_path, None, listen="0.0.0.0")
    found = facts_of(setup)
    assert found.outside == ("hospital",)


def test_the_run_gets_a_temporary_folder_of_its_own_and_an_empty_one(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", os.environ.get("TMPDIR", "/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", tempfile.tempdir)
    left = tmp_path / "tmp" / "joined.csv"
    left.parent.mkdir()
    left.write_text("rows of a killed run")
    place = private_tmp(tmp_path)
    assert (list(place.iterdir()), stat.S_IMODE(place.stat().st_mode)) == ([], 0o700)
    assert Path(tempfile.gettempdir()) == place == Path(os.environ["TMPDIR"])
    said = subprocess.run(
        [sys.executable, "-c", "import tempfile; print(tempfile.gettempdir())"], capture_output=True, text=True
    )
    assert said.stdout.strip() == str(place)
    wipe_tmp(tmp_path)
    assert not place.exists()


def test_its_path_as_libraries_see_it_has_no_character_that_a_shell_reads(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", "/tmp")
    monkeypatch.setattr(tempfile, "tempdir", tempfile.tempdir)
    place = private_tmp(tmp_path / "a;id>X b")
    for told in (os.environ["TMPDIR"], tempfile.gettempdir()):
        assert is_plain(Path(told))
        assert Path(told).samefile(place)


def test_a_link_in_its_place_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", "/tmp")
    monkeypatch.setattr(tempfile, "tempdir", tempfile.tempdir)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").touch()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "tmp").symlink_to(tmp_path / "outside")
    place = private_tmp(tmp_path / "run")
    assert not place.is_symlink()
    assert (tmp_path / "outside" / "kept").exists()


@pytest.mark.parametrize(
    ("uid", "mode", "ok"),
    [
        (1000, 0o700, True),
        (0, 0o1777, True),
        (1000, 0o1777, True),
        (0, 0o755, False),
        (1000, 0o755, False),
        (1000, 0o777, False),
        (2000, 0o700, False),
        (-1, 0, False),
    ],
)
def test_temporary_folders_of_others_or_open_to_them_are_refused(uid, mode, ok):
    assert (list(temp_violations(FolderFacts(Path("/t"), uid, mode), uid=1000)) == []) is ok


def test_the_umask_is_read_without_changing_it():
    old = os.umask(0o027)
    try:
        assert current_umask() == 0o027
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(old)


@pytest.mark.parametrize(("value", "refused"), [("1", True), ("x", True), ("0", False), ("", False)])
def test_a_debug_variable_counts_when_it_is_on_and_is_not_repeated(value, refused):
    found = list(environment_violations({"SF_UT_DO_NOT_EXIT_ENV_FLAG": value, "HOME": "/secret"}))
    assert bool(found) is refused
    assert not [each for each in found if "/secret" in str(each)]
