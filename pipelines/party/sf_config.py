"""Our devices in SecretFlow's words."""

import json

from secretflow.spec.extend.cluster_pb2 import SFClusterDesc

from veilflow.pipelines.party.setup import PartySetup


def device_descriptions(setup: PartySetup) -> list[SFClusterDesc.DeviceDesc]:
    """The SPUs, and the HEU if the run has one, as SecretFlow's cluster description holds them."""
    found = []
    for name, device in setup.devices.items():
        runtime = {
            "protocol": device.protocol,
            "field": device.field,
            "fxp_fraction_bits": device.fxp_fraction_bits,
        }
        link = {"recv_timeout_ms": setup.stall_ms, "connect_retry_times": setup.connect_attempts}
        text = json.dumps({"runtime_config": runtime, "link_desc": {**link, "connect_retry_interval_ms": 100}})
        found.append(SFClusterDesc.DeviceDesc(name=name, type="spu", parties=device.parties, config=text))
    if setup.heu is not None:
        text = json.dumps({"mode": "PHEU", "schema": setup.heu.schema, "key_size": setup.heu.key_size})
        found.append(SFClusterDesc.DeviceDesc(name="heu", type="heu", parties=setup.parties, config=text))
    return found
