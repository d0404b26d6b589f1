"""What a party holds while it is connected."""

from dataclasses import dataclass

from secretflow.spec.extend.cluster_pb2 import SFClusterConfig

from veilflow.pipelines.party.context import Devices, Emit, RunContext
from veilflow.pipelines.party.front.routes import Routes
from veilflow.pipelines.party.setup import PartySetup
from veilflow.pipelines.party.traffic import TrafficMeter
from veilflow.pipelines.party.wire.link_check import Check
from veilflow.pipelines.party.wire.proxy import Wire


@dataclass
class Party:
    """One party's side of a connected cluster, from joining to leaving."""

    setup: PartySetup
    cluster: SFClusterConfig
    devices: Devices
    traffic: TrafficMeter
    emit: Emit
    wire: Wire
    link_check: Check
    routes: Routes | None = None
    """The ways of libraries' links; None without TLS."""

    def context(self, node: str, device: str | None = None) -> RunContext:
        """The context of one step."""
        return RunContext(
            self.setup, self.cluster, self.devices, self.emit, node, device, self.wire, self.link_check, self.routes
        )
