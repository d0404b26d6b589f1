"""Everything the profile looks at, gathered once: what follows from it is a pure function (`check.violations`)."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from veilflow.pipelines.certs.keys import load_signing_key, public_text
from veilflow.pipelines.certs.private_files import KeyFileError, privacy_problem
from veilflow.pipelines.cluster.config import is_loopback_host
from veilflow.pipelines.cluster.hosts import split
from veilflow.pipelines.party.setup import HeuDevice, PartySetup
from veilflow.pipelines.profile.certificates import TlsFacts, read_tls
from veilflow.pipelines.profile.machine import FolderFacts, current_umask, read_folder


@dataclass(frozen=True)
class Spu:
    """One SPU: its parties, and its runtime configuration as it would be given to SPU."""

    parties: tuple[str, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """A run about to start, as one party's machine sees it."""

    profile: str
    party: str
    parties: tuple[str, ...]
    outside: tuple[str, ...] = ()
    """Parties whose address leaves this machine."""
    spus: Mapping[str, Spu] = field(default_factory=dict)
    heu: HeuDevice | None = None
    tls: TlsFacts | None = None
    signing_key: str | None = None
    """Public half of this machine's identity, ``ed25519:BASE64``."""
    pins: Mapping[str, str] = field(default_factory=dict)
    key_problems: tuple[str, ...] = ()
    """Files of keys that are missing, damaged or open to others, in words."""
    temp: FolderFacts | None = None
    folder: FolderFacts | None = None
    """The party's own folder, once it exists."""
    umask: int | None = None
    """None in the launcher, whose own umask is nobody's business."""
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further options of `secretflow.init`, if any."""
    uid: int = field(default_factory=os.geteuid)


def facts_of(setup: PartySetup, *, in_party: bool = False, options: Mapping[str, Any] | None = None) -> Facts:
    """Look at the files and the machine that a setup names.

    Args:
        setup: what the party process is told.
        in_party: whether this is the party's process, whose umask then counts.
        options: further options that will be given to `secretflow.init`.
    """
    tls, tls_problems = _tls(setup.tls)
    signing_key, signing_problems = _identity(setup.identity)
    folder = read_folder(setup.folder)
    return Facts(
        profile=setup.profile,
        party=setup.party,
        parties=tuple(setup.parties),
        outside=tuple(_outside(setup)),
        spus={name: Spu(tuple(device.parties), runtime_options(device)) for name, device in setup.devices.items()},
        heu=setup.heu,
        tls=tls,
        signing_key=signing_key,
        pins=dict(setup.pins),
        key_problems=(*tls_problems, *signing_problems),
        temp=read_folder(Path(tempfile.gettempdir())),
        folder=None if folder.uid == -1 else folder,
        umask=current_umask() if in_party else None,
        environment=dict(os.environ),
        options=dict(options or {}),
    )


def runtime_options(device: Any) -> dict[str, Any]:
    """An `SpuDevice`'s settings as SPU's runtime configuration names them."""
    return {"protocol": device.protocol, "field": device.field, "fxp_fraction_bits": device.fxp_fraction_bits}


def _outside(setup: PartySetup) -> Iterator[str]:
    tables = [setup.addresses.base, *setup.addresses.devices.values(), *setup.addresses.pairs.values()]
    found = {party for table in tables for party, address in table.items() if not _loopback(address)}
    if setup.listen is not None and not is_loopback_host(setup.listen):
        found.add(setup.party)
    yield from sorted(found)


def _loopback(address: str) -> bool:
    return is_loopback_host(split(address)[0])


def _tls(files: Mapping[str, str] | None) -> tuple[TlsFacts | None, list[str]]:
    if files is None:
        return None, []
    problems = [problem] if (problem := privacy_problem(Path(files["key"]))) else []
    contents = {}
    for name in ("ca", "certificate", "key"):
        try:
            contents[name] = Path(files[name]).read_bytes()
        except OSError as error:
            contents[name] = b""
            if name != "key":  # privacy_problem has said it
                problems.append(f"{files[name]} cannot be read: {error.strerror or error}.")
    return read_tls(contents["ca"], contents["certificate"], contents["key"]), problems


def _identity(identity: Path) -> tuple[str | None, list[str]]:
    if identity == Path():
        return None, []
    try:
        return public_text(load_signing_key(identity)), []
    except KeyFileError as error:
        return None, [str(error)]
