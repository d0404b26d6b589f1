"""What a party holds while it is connected."""

from dataclasses import dataclass

from secretflow.spec.extend.cluster_pb2 import SFClusterConfig

from veilflow.pipelines.party.context import Devices, Emit
from veilflow.pipelines.party.setup import PartySetup
from veilflow.pipelines.party.traffic import TrafficMeter


@dataclass
class Party:
    """One party's side of a connected cluster, from joining to leaving."""

    setup: PartySetup
    cluster: SFClusterConfig
    devices: Devices
    traffic: TrafficMeter
    emit: Emit
