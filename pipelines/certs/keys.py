"""The signing key that is a party's identity: Ed25519, pinned by every other party in its cluster file."""

import base64
import binascii
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from veilflow.pipelines.certs.private_files import KeyFileError, read_private

_PREFIX = "ed25519:"


def new_signing_key() -> Ed25519PrivateKey:
    """A key from the operating system's randomness."""
    return Ed25519PrivateKey.generate()


def private_pem(key: Ed25519PrivateKey) -> bytes:
    """PKCS#8, unencrypted: the file's mode protects it, a party starts without anyone typing."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def load_signing_key(path: Path) -> Ed25519PrivateKey:
    """Read a party's private signing key.

    Raises:
        KeyFileError: others can read the file, or it holds no unencrypted Ed25519 key in PEM.
    """
    content = read_private(path)
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFileError(f"{path} holds no unencrypted private key in PEM. {_MAKE}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path} holds a private key, but not an Ed25519 one. {_MAKE}")
    return key


_MAKE = "`veilflow certs request --party NAME` writes one to NAME.signing.pem."


def public_text(key: Ed25519PrivateKey | Ed25519PublicKey) -> str:
    """``ed25519:BASE64`` of the public key, as cluster files pin it."""
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return _PREFIX + base64.b64encode(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def parse_public(text: str) -> Ed25519PublicKey:
    """The key that `public_text` wrote.

    Raises:
        KeyFileError: not ``ed25519:`` and the canonical base64 of 32 bytes.
    """
    if not text.startswith(_PREFIX):
        raise KeyFileError("a public signing key reads 'ed25519:BASE64', as `veilflow certs` prints it.")
    try:
        raw = base64.b64decode(text[len(_PREFIX) :], validate=True)
    except (binascii.Error, ValueError):
        raise KeyFileError("the public signing key is not base64 after 'ed25519:'; copy it again.") from None
    if len(raw) != 32 or base64.b64encode(raw).decode() != text[len(_PREFIX) :]:
        raise KeyFileError(f"the public signing key holds {len(raw)} bytes, not 32 in canonical base64; copy it again.")
    return Ed25519PublicKey.from_public_bytes(raw)
