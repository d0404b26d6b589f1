"""One cluster of banks for these tests."""

from collections.abc import Iterator
from typing import Any

import pytest

from .federation import CLIENTS, PARTIES


@pytest.fixture(scope="package")
def banks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Three banks, a coordinator and an SPU, for `Federation`."""
    from veilflow.pipelines.launch.simulation import Simulation
    from veilflow.pipelines.party.setup import SpuDevice
    from veilflow.pipelines.pytest_plugin import Cluster

    folder = tmp_path_factory.mktemp("banks")
    with Simulation(folder, PARTIES, {"spu": SpuDevice(list(CLIENTS))}) as simulation:
        yield Cluster(simulation)
