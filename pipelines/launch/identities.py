"""Signing keys for a simulation: made for this run, written where only their party's process reads them."""

from collections.abc import Mapping
from dataclasses import replace

from veilflow.pipelines.certs.keys import new_signing_key, private_pem, public_text
from veilflow.pipelines.certs.private_files import PRIVATE, write_all
from veilflow.pipelines.party.setup import PartySetup

_FILE = "identity.pem"


def with_new_identities(setups: Mapping[str, PartySetup]) -> dict[str, PartySetup]:
    """The same setups, each with a fresh key in its party's folder and everybody's public keys."""
    keys = {party: new_signing_key() for party in setups}
    pins = {party: public_text(key) for party, key in keys.items()}
    for party, setup in setups.items():
        setup.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_all({setup.folder / _FILE: (private_pem(keys[party]), PRIVATE)}, force=True)
    return {party: replace(setup, identity=setup.folder / _FILE, pins=pins) for party, setup in setups.items()}
