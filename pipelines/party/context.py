"""The context a component sees under VeilFlow: SecretFlow's own, plus what a long-lived run can offer.

One context serves one step. What outlives the step (devices, emitter) comes from the run.
"""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import spu as spu_runtime
from secretflow.component.core import Context, SPURuntimeConfig
from secretflow.device import SPU
from secretflow.spec.extend.cluster_pb2 import SFClusterConfig
from secretflow.utils.errors import InvalidStateError
from secretflow_spec.v1.data_pb2 import StorageConfig

from veilflow.components.devices.checked_spu import CheckedSPU
from veilflow.components.devices.early import Done
from veilflow.components.devices.link import clear
from veilflow.components.devices.shell_safe import lasting_path
from veilflow.pipelines.cluster.addresses import pair_name
from veilflow.pipelines.cluster.hosts import split
from veilflow.pipelines.cluster.ports import PortTaken, in_the_way
from veilflow.pipelines.party.bootstrap import listening_at
from veilflow.pipelines.party.front.routes import Routes
from veilflow.pipelines.party.setup import PartySetup
from veilflow.pipelines.party.wire.link_check import Check
from veilflow.pipelines.party.wire.proxy import Wire
from veilflow.pipelines.profile import check_spu

Emit = Callable[[str, dict[str, Any]], None]


class Devices:
    """The SPUs of a run, connected once and kept: connecting costs about a second each time."""

    def __init__(self, setup: PartySetup) -> None:
        self._setup = setup
        self._made: dict[str, SPU] = {}

    def spu(self, cluster_def: dict[str, Any], link_desc: dict[str, Any] | None) -> SPU:
        """The SPU with this definition. Another runtime configuration on the same ports replaces the one before."""
        ports = json.dumps(cluster_def["nodes"], sort_keys=True)
        wanted = json.dumps(cluster_def["runtime_config"], sort_keys=True)
        held = self._made.get(ports)
        if held is not None and held.veilflow_runtime == wanted:
            return held
        if held is not None:
            held.shutdown()
        for node in cluster_def["nodes"]:
            if node["party"] == self._setup.party:
                own = node.get("listen_address") or node["address"]
                clear(own)
                if held is None and self._setup.tls is None:
                    _require_port(own)
        made = CheckedSPU(cluster_def, link_desc, log_options=self._log_options())
        made.veilflow_runtime = wanted
        self._made[ports] = made
        return made

    def _log_options(self) -> spu_runtime.logging.LogOptions:
        options = spu_runtime.logging.LogOptions()
        options.system_log_path = str(self._setup.folder / "spu.log")  # SPU's default: the working directory
        return options

    def close(self) -> None:
        for device in self._made.values():
            device.shutdown()
        self._made.clear()


def _require_port(address: str) -> None:
    """The library's own word for it is a stack trace.

    Raises:
        PortTaken: it cannot be listened on.
    """
    if why := in_the_way(*split(address)):
        raise PortTaken(why)


class RunContext(Context):  # type: ignore[misc]
    """SecretFlow's `Context` for one step of a VeilFlow run."""

    _spu_configs: dict[str, Any]

    def __init__(
        self,
        setup: PartySetup,
        cluster: SFClusterConfig,
        devices: Devices,
        emit: Emit,
        node: str = "",
        device: str | None = None,
        wire: Wire | None = None,
        link_check: Check | None = None,
        routes: Routes | None = None,
    ) -> None:
        storage = StorageConfig(type="local_fs", local_fs=StorageConfig.LocalFSConfig(wd=str(setup.folder)))
        super().__init__(storage, cluster, None)
        # Where components make folders of their own, whose names SecretFlow's PSI hands to a shell.
        self.data_dir = str(lasting_path(setup.folder))
        self.setup = setup
        self.node = node
        self.simulation = setup.simulation
        self.data_root: Path | None = setup.data_root
        self.pinned_keys: dict[str, str] = {} if setup.simulation else dict(setup.pins)
        """Party -> its public signing key as text; a simulation's keys live as long as it does, and name nobody."""
        self.export_dir: Path = setup.folder / "exports"
        self.checkpoint_dir: Path = setup.folder / "checkpoints" / node
        self.link_check = link_check
        self._routes = routes
        self._wire = wire
        self.receipts: list[dict[str, Any]] = []
        self.early: Callable[[], Done | None] | None = None
        """Where this party's reading was begun before the step: waits for it (`components.devices.early`)."""
        self._devices = devices
        self._emit = emit
        if device is not None:
            # SecretFlow's components take the first SPU of the configuration.
            self._spu_configs = {device: self._spu_configs[device]}

    def make_spu(self, config: SPURuntimeConfig | None = None) -> SPU:
        if not self._spu_configs:
            raise InvalidStateError("this step needs an SPU, but the pipeline's devices hold none.")
        return self._kept_spu(next(iter(self._spu_configs.values())), config)

    def make_spus(self, config: SPURuntimeConfig | None = None) -> list[SPU]:
        if not self._spu_configs:
            raise InvalidStateError("this step needs an SPU, but the pipeline's devices hold none.")
        return [self._kept_spu(each, config) for each in self._spu_configs.values()]

    def _kept_spu(self, spu_config: dict[str, Any], config: SPURuntimeConfig | None) -> SPU:
        # A deep copy: SecretFlow's own _make_spu changes the shared definition for every later step.
        definition = copy.deepcopy(spu_config["cluster_def"])
        if config is not None:
            config.update_config(definition["runtime_config"])
        parties = [node["party"] for node in definition["nodes"]]
        check_spu(self.setup.profile, self.node, parties, definition["runtime_config"])
        return self._devices.spu(definition, spu_config.get("link_desc"))

    def pair_addresses(self, one: str, other: str) -> dict[str, str]:
        """Where a library reaches either end of the two-party link between two parties, or listens itself."""
        if self._routes is not None:
            return self._routes.addresses(f"pair {pair_name(one, other)}", sorted((one, other)))
        table = self.setup.addresses.of_pair(one, other)
        return {party: listening_at(self.setup, party, address) for party, address in table.items()}

    def update_progress(self, percent: float, infos: dict[str, str] | None = None) -> None:
        self._emit("progress", {"node": self.node, "fraction": float(percent), "values": infos or {}})

    def record_sizes(self, values: dict[str, int]) -> None:
        """Tell the egress check what the names in this step's claims stand for."""
        if self._wire is not None:
            self._wire.gate.sizes(self.node, values)

    def record_receipt(self, protection: str, parameters: dict[str, Any]) -> None:
        """Keep the proof that a protection fired; it goes to the ledger with the step."""
        self.receipts.append({"protection": protection, "party": self.setup.party, "parameters": parameters})
