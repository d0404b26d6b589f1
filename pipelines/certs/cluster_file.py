"""A cluster file written from the folder that `veilflow certs` keeps."""

import json
from collections.abc import Mapping
from pathlib import Path

from veilflow.pipelines.certs.keys import parse_public
from veilflow.pipelines.certs.names import check_party
from veilflow.pipelines.certs.private_files import KeyFileError

_HEAD = """\
# Where the parties of a run are. Compare the signing keys with each party before the first run (by telephone, not by
# the mail that brought them): they are what tells one party from another.
version: 1
profile: production
parties:
"""


def cluster_text(addresses: Mapping[str, str], me: str, folder: Path, base: Path, data: Path | None = None) -> str:
    """The text of party ``me``'s cluster file.

    Args:
        addresses: party -> ``host:port``.
        me: whose machine this is; its TLS files and identity are named.
        folder: where certificates, keys and every party's ``NAME.signing.pub`` lie.
        base: the cluster file's folder; files below it are named relative to it.
        data: ``me``'s data folder.

    Raises:
        KeyFileError: ``me`` is none of the parties, or a party's public signing key is missing.
    """
    if me not in addresses:
        raise KeyFileError(f"--me {me} is none of the parties: {', '.join(addresses)}.")
    lines = []
    for party, address in addresses.items():
        pin = read_pin(folder / f"{check_party(party)}.signing.pub")
        place = f", data: {_named(data, base)}" if data is not None and party == me else ""
        lines.append(f"  {party}: {{address: {json.dumps(address)}{place}, signing_key: {json.dumps(pin)}}}\n")
    tls = [f"{name}: {_named(folder / file, base)}" for name, file in _files(me)]
    identity = _named(folder / f"{me}.signing.pem", base)
    own = (
        f"# This machine's own files; the other parties have theirs.\ntls: {{{', '.join(tls)}}}\nidentity: {identity}\n"
    )
    return _HEAD + "".join(lines) + own


def read_pin(file: Path) -> str:
    """The public signing key in a ``.pub`` file.

    Raises:
        KeyFileError: it is missing or none.
    """
    try:
        pin = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise KeyFileError(f"no public signing key in {file}: ask that party for the file, and put it there.") from None
    try:
        parse_public(pin)
    except KeyFileError as error:
        raise KeyFileError(f"{file}: {error}") from None
    return pin


def _files(me: str) -> list[tuple[str, str]]:
    return [("ca", "ca.pem"), ("certificate", f"{me}.pem"), ("key", f"{me}.key")]


def _named(file: Path, base: Path) -> str:
    file, base = file.resolve(), base.resolve()
    return json.dumps(str(file.relative_to(base) if file.is_relative_to(base) else file))
