"""Certificates of all kinds, good ones and bad ones, from one authority or another."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from veilflow.pipelines.certs.authority import certificate_pem, new_authority, new_tls_key, sign, tls_key_pem
from veilflow.pipelines.certs.names import alternative_names, subject

NOW = datetime.now(timezone.utc)


@dataclass
class Authority:
    """An authority whose certificate is valid, and TLS files of parties as `PartySetup.tls` names them."""

    folder: Path
    held: object = field(default_factory=lambda: new_authority("an authority", now=NOW - timedelta(days=200)))

    def files(self, party, *, signer=None, days_ago=0, usage=None, traditional=False):
        """Files of ``party``; with ``signer``, another authority's certificate beside this one's ``ca``."""
        authority, key = signer or self.held, new_tls_key()
        if usage is None:
            at = NOW - timedelta(days=days_ago)
            certificate = sign(authority, key.public_key(), party, alternative_names(party), 30, at)
        else:
            certificate = _for_one_usage(authority, key, party, usage)
        private = tls_key_pem(key)
        if traditional:
            private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        self.folder.mkdir(mode=0o700, exist_ok=True)
        place = self.folder / f"{party}-{len(list(self.folder.iterdir()))}"
        place.mkdir(mode=0o700)
        contents = {
            "ca": certificate_pem(self.held.certificate),
            "certificate": certificate_pem(certificate),
            "key": private,
        }
        for name, content in contents.items():
            (place / name).write_bytes(content)
            (place / name).chmod(0o600)
        return {name: str(place / name) for name in contents}


def _for_one_usage(authority, key, party, usage):
    builder = x509.CertificateBuilder().subject_name(subject(party)).issuer_name(authority.certificate.subject)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(NOW - timedelta(hours=1)).not_valid_after(NOW + timedelta(days=1))
    return builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False).sign(authority.key, hashes.SHA256())


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """The run's."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def another_authority(tmp_path_factory):
    """Somebody else's, of the same name."""
    return Authority(tmp_path_factory.mktemp("other"))
