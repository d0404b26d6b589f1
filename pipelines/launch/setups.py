"""From a checked pipeline to what each party process is told."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from veilflow.pipelines.cluster.addresses import Addresses, from_bases, on_loopback
from veilflow.pipelines.cluster.config import Cluster
from veilflow.pipelines.launch.identities import with_new_identities
from veilflow.pipelines.party.mesh import say_that_it_does_not_start
from veilflow.pipelines.party.setup import HeuDevice, PartySetup, SpuDevice
from veilflow.pipelines.plan import Plan
from veilflow.pipelines.profile import ProfileError, check_start, facts_of
from veilflow.pipelines.spec import Pipeline


def require_declared(plan: Plan, cluster: Cluster) -> None:
    """Between organisations, what a step may send is known before it runs.

    Raises:
        SetupError: a step makes no claims, so the egress check could refuse nothing, and the file does not name it.
    """
    silent = {step.component_id.split(":")[0] for step in plan.steps if any(s.kind == "anything" for s in step.sends)}
    lacking = sorted(silent - set(cluster.undeclared))
    if lacking and cluster.profile == "production":
        raise SetupError(
            f"{', '.join(lacking)} does not say what it sends, so nothing could be refused. To run it nevertheless, "
            f"add undeclared: [{', '.join(lacking)}] to the cluster file."
        )


class SetupError(Exception):
    """The pipeline and the cluster file do not fit; the message says where."""


def spu_devices(pipeline: Pipeline) -> dict[str, SpuDevice]:
    """The pipeline's SPUs, in file order."""
    return {
        name: SpuDevice(list(device.parties), device.spu_protocol, device.field, device.fraction_bits)
        for name, device in pipeline.all_devices().items()
        if device.kind == "spu"
    }


def heu_device(pipeline: Pipeline) -> HeuDevice | None:
    """The pipeline's HEU settings, if it has any."""
    for device in pipeline.all_devices().values():
        if device.kind == "heu":
            return HeuDevice(device.scheme, device.key_bits)
    return None


def simulation_setups(pipeline: Pipeline, out: Path, tls: bool = False) -> dict[str, PartySetup]:
    """Every party on loopback, each with its own folder below ``out``; with ``tls`` encrypted nevertheless."""
    parties = list(pipeline.parties)
    devices = spu_devices(pipeline)
    addresses = on_loopback(parties, {name: device.parties for name, device in devices.items()})
    setups = {
        party: PartySetup(
            party=party,
            parties=parties,
            addresses=addresses,
            folder=(out / party).resolve(),
            data_root=None,
            devices=devices,
            heu=heu_device(pipeline),
        )
        for party in parties
    }
    return with_new_identities(setups, tls)


def elsewhere(setups: Mapping[str, PartySetup]) -> dict[str, PartySetup]:
    """The same parties of a simulation at other ports that are free now."""
    one = next(iter(setups.values()))
    addresses = on_loopback(one.parties, {name: device.parties for name, device in one.devices.items()})
    return {party: replace(setup, addresses=addresses) for party, setup in setups.items()}


def party_setup(pipeline: Pipeline, out: Path, cluster: Cluster, party: str) -> dict[str, PartySetup]:
    """This machine's party, at the addresses of the cluster file.

    Raises:
        SetupError: the cluster file lacks a party of the pipeline or a signing key, or ``party`` is none of them.
        ProfileError: the file's profile forbids the run; all reasons are in the message.
    """
    parties = list(pipeline.parties)
    if party not in parties:
        raise SetupError(f"the pipeline has no party '{party}'; it has {', '.join(parties)}.")
    missing = [name for name in parties if name not in cluster.parties]
    if missing:
        raise SetupError(f"the cluster file has no address for {', '.join(missing)}.")
    devices = spu_devices(pipeline)
    bases: Mapping[str, tuple[str, int]] = {name: cluster.parties[name].base for name in parties}
    tls = cluster.tls
    if tls is None:
        addresses = from_bases(bases, {name: device.parties for name, device in devices.items()})
    else:
        addresses = Addresses({name: cluster.parties[name].address for name in parties}, {}, {})
    entry = cluster.parties[party]
    setup = PartySetup(
        party=party,
        parties=parties,
        addresses=addresses,
        folder=(out / party).resolve(),
        data_root=entry.data or Path.cwd(),
        devices=devices,
        heu=heu_device(pipeline),
        listen=entry.listen,
        tls=None if tls is None else {"ca": str(tls.ca), "certificate": str(tls.certificate), "key": str(tls.key)},
        identity=cluster.identity or Path(),
        pins=cluster.pins(),
        profile=cluster.profile,
        connect_seconds=cluster.connect_seconds,
        silence_seconds=cluster.silence_seconds,
        stall_minutes=cluster.stall_minutes,
    )
    _require_identity(cluster, parties)
    try:
        check_start(facts_of(setup))
    except ProfileError:
        tell_the_others(setup, "start")
        raise
    return {party: setup}


def tell_the_others(setup: PartySetup, code: str) -> None:
    """That this party will not come, and why (`mesh.CODES`). In the background: the user reads why at once, and this
    process stays until the others know, or 10 seconds."""
    threading.Thread(target=say_that_it_does_not_start, args=(setup, code), name="news").start()


def _require_identity(cluster: Cluster, parties: Sequence[str]) -> None:
    """Messages are signed in every profile: there is no run without keys."""
    lacking = [party for party in parties if party not in cluster.pins()]
    if lacking:
        raise SetupError(
            f"the cluster file has no signing_key for {', '.join(lacking)}. `veilflow certs` makes keys and prints it."
        )
    if cluster.identity is None:
        raise SetupError("the cluster file has no 'identity': this party's private signing key (`veilflow certs`).")
