"""What must be the same at every party before they talk: compared in the handshake, by name."""

import hashlib
import json
from dataclasses import asdict

from veilflow.pipelines.party.setup import PartySetup
from veilflow.pipelines.party.store import code_digest
from veilflow.pipelines.party.versions import versions


def installation(setup: PartySetup) -> dict[str, str]:
    """Name -> value: code, package versions, profile, devices, addresses of the links."""
    known = versions()
    devices = {name: asdict(device) for name, device in setup.devices.items()}
    heu = None if setup.heu is None else asdict(setup.heu)
    return {
        "code": code_digest(json.dumps(known, sort_keys=True)),
        "profile": setup.profile,
        "encryption": "off" if setup.tls is None else "TLS",
        "devices": _digest([devices, heu]),
        "signing keys": _digest(setup.pins),
        **{f"version of {name}": version for name, version in known.items()},
    }


def _digest(document: object) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
