from dataclasses import replace

import pytest

from veilflow.pipelines.certs import folder as certs
from veilflow.pipelines.cluster.addresses import on_loopback
from veilflow.pipelines.party.setup import PartySetup, SpuDevice
from veilflow.pipelines.profile import Facts, facts_of

PARTIES = ["hospital", "insurer", "coordinator"]


@pytest.fixture(scope="session")
def good(tmp_path_factory) -> Facts:
    """Facts of a machine where nothing is wrong. The environment is left out: it is the test runner's."""
    folder = tmp_path_factory.mktemp("good")
    files = certs.ephemeral(folder / "certs", PARTIES)
    setup = PartySetup(
        party="hospital",
        parties=PARTIES,
        addresses=on_loopback(PARTIES, {"spu": PARTIES}),
        folder=folder / "run",
        data_root=folder,
        devices={"spu": SpuDevice(PARTIES)},
        tls=files["hospital"].tls,
        identity=files["hospital"].identity,
        pins={party: each.pin for party, each in files.items()},
        profile="production",
    )
    return replace(facts_of(setup), environment={})
