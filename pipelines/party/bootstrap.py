"""The one way a party joins a run: strict decoding first, then the handshake, then SecretFlow in production mode over
our own proxy and connections. SPU links are given addresses that only this process reaches, wherever the run has TLS.
"""

import secretflow as sf
from secretflow.distributed.fed.global_context import get_global_context
from secretflow.spec.extend.cluster_pb2 import SFClusterConfig, SFClusterDesc

from veilflow.pipelines.cluster.hosts import join as join_address
from veilflow.pipelines.cluster.hosts import split
from veilflow.pipelines.party import archives, storage_jail
from veilflow.pipelines.party.front.routes import Routes
from veilflow.pipelines.party.setup import PartySetup
from veilflow.pipelines.party.sf_config import device_descriptions
from veilflow.pipelines.party.wire import codec, proxy
from veilflow.pipelines.party.wire.identity import Identity
from veilflow.pipelines.party.wire.objects import ObjectLinks
from veilflow.pipelines.profile import check_start, facts_of
from veilflow.pipelines.profile.machine import private_tmp


def prepare(setup: PartySetup) -> Identity:
    """What must be true before this process connects to anything; who this party is on the wire.

    Raises:
        ProfileError: what the profile refuses, all of it.
        KeyFileError, WireRefused: the signing key cannot be used, or is not the one pinned for this party.
    """
    private_tmp(setup.folder)
    check_start(facts_of(setup, in_party=True))
    codec.install()
    storage_jail.install()
    archives.install()
    return Identity.of(setup)


def join(setup: PartySetup, wire: proxy.Wire, links: ObjectLinks, routes: Routes | None, job: str) -> SFClusterConfig:
    """Connect to the other parties and return the cluster description that components see.

    Args:
        links: what SecretFlow's objects travel on.
        routes: the ways of libraries' links; None without TLS.
        job: the name that the handshake agreed on.

    Raises:
        PeerGone: a peer did not connect.
    """
    made = proxy.install(wire, links, setup.connect_seconds)
    sf.init(
        cluster_config={
            "parties": {party: {"address": address} for party, address in setup.addresses.base.items()},
            "self_party": setup.party,
        },
        ray_mode=False,
        cross_silo_comm_backend="brpc_link",
        cross_silo_comm_options={
            # Of brpc, which is not used; SecretFlow would set what it does not find.
            "connect_retry_times": setup.connect_attempts,
            "recv_timeout_ms": setup.stall_ms,
        },
        enable_waiting_for_other_parties_ready=True,
        logging_level="warning",
        job_name=job,
    )
    (link,) = made
    link.attach(get_global_context())
    return _cluster_config(setup, routes)


def leave(on_error: bool) -> None:
    """Disconnect from the other parties."""
    sf.shutdown(barrier_on_shutdown=not on_error, on_error=on_error)


def _cluster_config(setup: PartySetup, routes: Routes | None) -> SFClusterConfig:
    config = SFClusterConfig(
        desc=SFClusterDesc(parties=setup.parties, devices=device_descriptions(setup)),
        private_config=SFClusterConfig.PrivateConfig(self_party=setup.party),
    )
    fed = config.public_config.ray_fed_config
    fed.parties.extend(setup.parties)
    fed.addresses.extend(setup.addresses.base[party] for party in setup.parties)
    for name, device in setup.devices.items():
        own = None if routes is None else routes.addresses(f"spu {name}", device.parties)
        table = own or setup.addresses.devices[name]
        spu = config.public_config.spu_configs.add(name=name)
        spu.parties.extend(table)
        spu.addresses.extend(table.values())
        if setup.listen and routes is None:
            spu.listen_addresses.extend(listening_at(setup, party, address) for party, address in table.items())
    return config


def listening_at(setup: PartySetup, party: str, address: str) -> str:
    """``address``; this party's own with the host that it is told to listen on."""
    return join_address(setup.listen, split(address)[1]) if setup.listen and party == setup.party else address
