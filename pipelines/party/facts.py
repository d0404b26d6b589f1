"""What must be the same at every party before they talk: compared in the handshake, by name."""

import hashlib
import json
from dataclasses import asdict
from functools import cache

from veilflow.pipelines.party.setup import PartySetup
from veilflow.pipelines.party.store import code_digest
from veilflow.pipelines.party.versions import versions


def installation(setup: PartySetup) -> dict[str, str]:
    """Name -> value: code, package versions, profile, devices, addresses of the links."""
    devices = {name: asdict(device) for name, device in setup.devices.items()}
    heu = None if setup.heu is None else asdict(setup.heu)
    return {
        "code": own_code(),
        "profile": setup.profile,
        "encryption": "off" if setup.tls is None else "TLS",
        "devices": _digest([devices, heu]),
        "signing keys": _digest(setup.pins),
        **{f"version of {name}": version for name, version in versions().items()},
    }


@cache
def own_code() -> str:
    """Digest of our sources and of the versions they run with; taken in the forkserver, where they are imported."""
    return code_digest(json.dumps(versions(), sort_keys=True))


def _digest(document: object) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
