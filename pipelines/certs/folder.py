"""The folder that `veilflow certs` keeps: which file is what, and the four ways to fill it.

ca.pem, ca.key                  the authority: its certificate goes to everyone, its key to nobody
hospital.pem, hospital.key      TLS certificate and private key of a party
hospital.csr                    a request, for the holder of the authority
hospital.signing.pem, .pub      the party's identity: Ed25519, private and public
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from veilflow.pipelines.certs.authority import (
    AUTHORITY_DAYS,
    PARTY_DAYS,
    Authority,
    certificate_pem,
    new_authority,
    new_tls_key,
    sign,
    tls_key_pem,
)
from veilflow.pipelines.certs.keys import load_signing_key, new_signing_key, private_pem, public_text
from veilflow.pipelines.certs.names import alternative_names, check_party
from veilflow.pipelines.certs.private_files import PRIVATE, PUBLIC, KeyFileError, read_private, write_all
from veilflow.pipelines.certs.requests import checked_request, new_request

_CA_NAME = "VeilFlow private CA"


@dataclass(frozen=True)
class PartyFiles:
    """A party's files, and the public text that the others pin."""

    ca: Path
    certificate: Path
    key: Path
    identity: Path
    """The private signing key."""
    pin: str
    """``ed25519:BASE64``"""

    @property
    def tls(self) -> dict[str, str]:
        """ca, certificate, key: as `PartySetup.tls` wants them."""
        return {"ca": str(self.ca), "certificate": str(self.certificate), "key": str(self.key)}


def init(folder: Path, name: str = _CA_NAME, days: int = AUTHORITY_DAYS, force: bool = False) -> Authority:
    """Make an authority: ``ca.pem`` and, for its holder only, ``ca.key``."""
    made = new_authority(name, days)
    certificate, key = folder / "ca.pem", folder / "ca.key"
    write_all({key: (tls_key_pem(made.key), PRIVATE), certificate: (certificate_pem(made.certificate), PUBLIC)}, force)
    return made


def open_authority(folder: Path) -> Authority:
    """The authority of a folder.

    Raises:
        KeyFileError: it is missing, others can read its key, or key and certificate do not belong together.
    """
    certificate_file, key_file = folder / "ca.pem", folder / "ca.key"
    if not key_file.exists():
        raise KeyFileError(f"no {key_file}: run `veilflow certs init` first, or send the holder a request.")
    try:
        key = load_pem_private_key(read_private(key_file), password=None)
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
    except (OSError, ValueError, TypeError):
        raise KeyFileError(f"{certificate_file} or {key_file} is missing or no PEM file.") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate.public_key() != key.public_key():
        raise KeyFileError(f"{key_file} is not the key of {certificate_file}.")
    return Authority(certificate, key)


def issue(
    folder: Path, party: str, addresses: Iterable[str] = (), days: int = PARTY_DAYS, force: bool = False
) -> PartyFiles:
    """Make everything for a party here: for simulations, or where one person sets up all machines."""
    check_party(party)
    authority, key = open_authority(folder), new_tls_key()
    certificate = sign(authority, key.public_key(), party, alternative_names(party, addresses), days)
    files, identity = _identity(folder, party)
    own = {files.key: (tls_key_pem(key), PRIVATE), files.certificate: (certificate_pem(certificate), PUBLIC)}
    write_all({**own, **identity}, force)
    return files


def request(folder: Path, party: str, addresses: Iterable[str] = (), force: bool = False) -> tuple[Path, PartyFiles]:
    """Make a party's keys on its own machine, and the request that gets the TLS key its certificate."""
    check_party(party)
    key, file = new_tls_key(), folder / f"{party}.csr"
    wanted = new_request(key, party, alternative_names(party, addresses))
    files, identity = _identity(folder, party)
    write_all({files.key: (tls_key_pem(key), PRIVATE), file: (wanted, PUBLIC), **identity}, force)
    return file, files


def answer(folder: Path, party: str, wanted: bytes, days: int = PARTY_DAYS, force: bool = False) -> Path:
    """Sign a party's request: the certificate's file, to be sent back with ``ca.pem``."""
    key, names = checked_request(wanted, party)
    certificate = sign(open_authority(folder), key, party, names, days)
    file = folder / f"{party}.pem"
    write_all({file: (certificate_pem(certificate), PUBLIC)}, force)
    return file


def ephemeral(folder: Path, parties: Iterable[str], now: datetime | None = None) -> dict[str, PartyFiles]:
    """A throw-away authority, never written, and everything for all parties on loopback: simulations and tests.

    Each party's private files lie in a folder of its own, ``folder/<party>``, mode 0700.
    """
    authority = new_authority("VeilFlow throw-away CA", days=30, now=now)
    made: dict[str, PartyFiles] = {}
    for party in parties:
        check_party(party)
        key, signing = new_tls_key(), new_signing_key()
        names = alternative_names(party, ("127.0.0.1", "localhost"))
        certificate = sign(authority, key.public_key(), party, names, days=30, now=now)
        own = folder / party
        files = _party_files(own, party, public_text(signing))
        write_all(
            {
                files.ca: (certificate_pem(authority.certificate), PUBLIC),
                files.key: (tls_key_pem(key), PRIVATE),
                files.identity: (private_pem(signing), PRIVATE),
                files.certificate: (certificate_pem(certificate), PUBLIC),
            },
            force=True,
        )
        own.chmod(0o700)
        made[party] = files
    return made


def _party_files(folder: Path, party: str, pin: str) -> PartyFiles:
    return PartyFiles(
        folder / "ca.pem", folder / f"{party}.pem", folder / f"{party}.key", folder / f"{party}.signing.pem", pin
    )


def _identity(folder: Path, party: str) -> tuple[PartyFiles, dict[Path, tuple[bytes, int]]]:
    """The party's files, and its signing key if that is yet to be written.

    A key that is there is kept, also with ``--force``: others have pinned it. Whoever wants a new one removes the file.
    """
    kept = folder / f"{party}.signing.pem"
    signing: Ed25519PrivateKey = load_signing_key(kept) if kept.exists() else new_signing_key()
    files = _party_files(folder, party, public_text(signing))
    public = files.identity.with_suffix(".pub")
    if kept.exists():
        return files, {}
    return files, {files.identity: (private_pem(signing), PRIVATE), public: (files.pin.encode() + b"\n", PUBLIC)}
