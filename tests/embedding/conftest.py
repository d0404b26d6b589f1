"""Three parties under SecretFlow's own `comp_eval`: new processes for every node, as Kuscia starts them.

Forked from a server that has imported SecretFlow. A process that runs several nodes destroys the SPU of an earlier one
at some moment of a later one, and yacl may then end it: its channels are not stopped first.
"""

import json
import runpy
import socket
from pathlib import Path

import pytest

PARTIES = ("hospital", "insurer", "coordinator")
WORKER = Path(__file__).parent / "worker.py"
SPU = {
    "runtime_config": {"protocol": "ABY3", "field": "FM64", "fxp_fraction_bits": 18},
    "link_desc": {
        "connect_retry_times": 60,
        "connect_retry_interval_ms": 1000,
        "brpc_channel_protocol": "http",
        "brpc_channel_connection_type": "pooled",
        "recv_timeout_ms": 120_000,
        "http_timeout_ms": 120_000,
    },
}


class Parties:
    """A node is one `comp_eval` at each party, in a new process, on ports of its own."""

    def __init__(self, folder):
        from veilflow.pipelines.launch.forkserver import context

        self.folder = folder
        self.ran = set()
        self._context = context()  # only for its imports; what runs in the processes is SecretFlow
        self._pipes, self._processes = {}, {}
        for party in PARTIES:
            (folder / party).mkdir()

    def _start(self):
        self.close()
        self._pipes, self._processes = {}, {}
        for party in PARTIES:
            mine, theirs = self._context.Pipe()
            given = {"work": (theirs, str(self.folder / f"{party}.log"))}
            process = self._context.Process(target=runpy.run_path, args=(str(WORKER), given), daemon=True)
            process.start()
            theirs.close()
            self._pipes[party], self._processes[party] = mine, process

    def run(self, component, params=None, inputs=(), outputs=("table", "report"), node=None, seconds=120):
        """Evaluate one node at all parties.

        Args:
            component: ``domain/name:version``.
            params: attribute path -> value.
            inputs: DistData, in the order of the definition.
            outputs: names for the outputs, in the order of the definition.

        Returns:
            Output name -> DistData, which must be the same at every party.
        """
        from secretflow_spec.v1.data_pb2 import DistData
        from secretflow_spec.v1.evaluation_pb2 import NodeEvalParam

        node = node or component.split(":")[0].replace("/", "_")
        params = params or {}
        param = NodeEvalParam(
            comp_id=component,
            attr_paths=list(params),
            attrs=[attribute(value) for value in params.values()],
            inputs=list(inputs),
            output_uris=[f"{node}/{name}" for name in outputs],
        )
        ports = {use: dict(zip(PARTIES, free_ports(len(PARTIES)), strict=True)) for use in ("fed", "spu")}
        self._start()
        for party, pipe in self._pipes.items():
            storage, cluster = self._storage(party), cluster_config(party, ports)
            pipe.send([each.SerializeToString() for each in (param, storage, cluster)])
        found = {party: self._answer(party, seconds) for party in self._pipes}
        self.ran.add(component)
        assert found["hospital"] == found["insurer"] == found["coordinator"], "the parties describe other outputs"
        return dict(zip(outputs, map(DistData.FromString, found["hospital"]), strict=True))

    def ended(self, party, seconds):
        """Wait until a party's process has ended by itself, as one does whose node has failed."""
        self._processes[party].join(seconds)
        assert self._processes[party].exitcode == 1, f"{party} should have ended: {self._processes[party].exitcode}"

    def log(self, party):
        """What SecretFlow and the component printed at a party so far."""
        return (self.folder / f"{party}.log").read_text(errors="replace")

    def _answer(self, party, seconds):
        pipe = self._pipes[party]
        assert pipe.poll(seconds), f"{party} has not answered in {seconds} s; it printed: {self.log(party)[-2000:]}"
        try:
            return pipe.recv()
        except EOFError:
            raise AssertionError(f"{party} ended; it printed: {self.log(party)[-4000:]}") from None

    def _storage(self, party):
        from secretflow_spec.v1.data_pb2 import StorageConfig

        return StorageConfig(type="local_fs", local_fs=StorageConfig.LocalFSConfig(wd=str(self.folder / party)))

    def close(self):
        for pipe in self._pipes.values():
            pipe.close()
        for process in self._processes.values():
            process.join(10)
            if process.is_alive():
                process.kill()
                process.join()


def cluster_config(me, ports):
    """As Kuscia builds it: one SPU over all parties; a party's own address is where it listens."""
    from secretflow.spec.extend.cluster_pb2 import SFClusterConfig, SFClusterDesc

    def address(use, party, scheme):
        port = ports[use][party]
        return f"0.0.0.0:{port}" if party == me else f"{scheme}127.0.0.1:{port}"

    device = SFClusterDesc.DeviceDesc(name="spu", type="spu", parties=PARTIES, config=json.dumps(SPU))
    config = SFClusterConfig(
        desc=SFClusterDesc(parties=PARTIES, devices=[device]),
        private_config=SFClusterConfig.PrivateConfig(self_party=me),
    )
    public = config.public_config
    public.barrier_on_shutdown = True
    public.ray_fed_config.parties.extend(PARTIES)
    public.ray_fed_config.addresses.extend(address("fed", party, "") for party in PARTIES)
    spu = public.spu_configs.add(name="spu")
    spu.parties.extend(PARTIES)
    spu.addresses.extend(address("spu", party, "http://") for party in PARTIES)
    return config


def attribute(value):
    """A Python value as SecretFlow's `Attribute`."""
    from secretflow_spec.v1.component_pb2 import Attribute

    if isinstance(value, list):
        kinds = {str: "ss", int: "i64s", float: "fs"}
        return Attribute(**{kinds[type(value[0])]: value}) if value else Attribute(is_na=True)
    return Attribute(**{{str: "s", bool: "b", int: "i64", float: "f"}[type(value)]: value})


def free_ports(count):
    """Ports that nobody listens on now; all held until all are found, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@pytest.fixture(scope="module")
def parties(tmp_path_factory):
    """The three parties, for the tests of one file."""
    started = Parties(tmp_path_factory.mktemp("embedding"))
    yield started
    started.close()


@pytest.fixture
def tested_spu():
    """The SPU description that these tests run on."""
    return SPU
