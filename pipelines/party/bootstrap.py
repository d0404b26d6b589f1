"""The one way a party joins a run: strict decoding first, then the handshake, then SecretFlow in production mode over
our own proxy, TLS on wherever a link can leave the machine.

SecretFlow 1.14.0b0 fills the certificate paths of its own link but never sets ``enable_ssl``, and yacl then sends
plaintext without a word. `wire.proxy` sets it, and `join` asks the link itself before anything is sent.
"""

import secretflow as sf
from secretflow.distributed.fed.global_context import get_global_context
from secretflow.spec.extend.cluster_pb2 import SFClusterConfig, SFClusterDesc

from veilflow.pipelines.certs.keys import load_signing_key, parse_public
from veilflow.pipelines.party import archives, storage_jail
from veilflow.pipelines.party.setup import PartySetup
from veilflow.pipelines.party.sf_config import device_descriptions
from veilflow.pipelines.party.wire import codec, proxy
from veilflow.pipelines.party.wire.errors import WireRefused
from veilflow.pipelines.party.wire.identity import Identity
from veilflow.pipelines.profile import check_start, facts_of
from veilflow.pipelines.profile.machine import private_tmp


class BootstrapError(WireRefused):
    """The party cannot join safely; the message says why."""


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
    pins = {party: parse_public(text) for party, text in setup.pins.items()}
    return Identity(setup.party, load_signing_key(setup.identity), pins)


def join(setup: PartySetup, wire: proxy.Wire, job: str) -> SFClusterConfig:
    """Connect to the other parties and return the cluster description that components see.

    Args:
        job: the name that the handshake agreed on.

    Raises:
        BootstrapError: the link would not be encrypted.
    """
    made = proxy.install(wire)
    parties = {party: {"address": address} for party, address in setup.addresses.fed.items()}
    own = setup.addresses.fed[setup.party]
    if setup.listen:
        parties[setup.party]["listen_addr"] = f"{setup.listen}:{own.rsplit(':', 1)[1]}"
    sf.init(
        cluster_config={"parties": parties, "self_party": setup.party},
        tls_config=fed_tls(setup.tls),
        ray_mode=False,
        cross_silo_comm_backend="brpc_link",
        cross_silo_comm_options={
            "connect_retry_times": setup.connect_attempts,
            "connect_retry_interval_ms": 100,
            "recv_timeout_ms": setup.stall_ms,
            "timeout_in_ms": 120 * 1000,
        },
        enable_waiting_for_other_parties_ready=True,
        logging_level="warning",
        job_name=job,
    )
    (link,) = made
    if setup.tls is not None and not link.encrypted:
        raise BootstrapError("TLS was asked for but the link would send plaintext.")
    link.attach(get_global_context())
    return _cluster_config(setup)


def leave(on_error: bool) -> None:
    """Disconnect from the other parties."""
    sf.shutdown(barrier_on_shutdown=not on_error, on_error=on_error)


def fed_tls(tls: dict[str, str] | None) -> dict[str, str] | None:
    """Our names for the three PEM files -> SecretFlow's."""
    return None if tls is None else {"ca_cert": tls["ca"], "cert": tls["certificate"], "key": tls["key"]}


def _cluster_config(setup: PartySetup) -> SFClusterConfig:
    config = SFClusterConfig(
        desc=SFClusterDesc(parties=setup.parties, devices=device_descriptions(setup)),
        private_config=SFClusterConfig.PrivateConfig(self_party=setup.party),
    )
    fed = config.public_config.ray_fed_config
    fed.parties.extend(setup.parties)
    fed.addresses.extend(setup.addresses.fed[party] for party in setup.parties)
    for name, table in setup.addresses.devices.items():
        spu = config.public_config.spu_configs.add(name=name)
        spu.parties.extend(table)
        spu.addresses.extend(table.values())
        if setup.listen:
            spu.listen_addresses.extend(_listening(setup, party, address) for party, address in table.items())
    return config


def _listening(setup: PartySetup, party: str, address: str) -> str:
    return f"{setup.listen}:{address.rsplit(':', 1)[1]}" if party == setup.party else address
