"""Keys for a simulation: made for this run, written where only their party's process reads them."""

from collections.abc import Mapping
from dataclasses import replace

from veilflow.pipelines.certs.folder import ephemeral
from veilflow.pipelines.certs.keys import new_signing_key, private_pem, public_text
from veilflow.pipelines.certs.private_files import PRIVATE, write_all
from veilflow.pipelines.party.setup import PartySetup

_FILE = "identity.pem"
_FOLDER = ".certs"


def with_new_identities(setups: Mapping[str, PartySetup], tls: bool = False) -> dict[str, PartySetup]:
    """The same setups, each with a fresh signing key of its own and everybody's public keys.

    Args:
        tls: also make a throw-away authority and certificates, so that every link is encrypted as between machines.
    """
    if tls:
        return _with_certificates(setups)
    keys = {party: new_signing_key() for party in setups}
    pins = {party: public_text(key) for party, key in keys.items()}
    for party, setup in setups.items():
        setup.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_all({setup.folder / _FILE: (private_pem(keys[party]), PRIVATE)}, force=True)
    return {party: replace(setup, identity=setup.folder / _FILE, pins=pins) for party, setup in setups.items()}


def _with_certificates(setups: Mapping[str, PartySetup]) -> dict[str, PartySetup]:
    folder = next(iter(setups.values())).folder.parent / _FOLDER
    made = ephemeral(folder, setups)
    pins = {party: files.pin for party, files in made.items()}
    return {
        party: replace(setup, identity=made[party].identity, pins=pins, tls=made[party].tls)
        for party, setup in setups.items()
    }
