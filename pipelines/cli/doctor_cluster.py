"""Checks of one party's machine against its cluster file: certificates, keys, folders, ports."""

import socket
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from veilflow.pipelines.certs.describe import validity_warning
from veilflow.pipelines.cli.doctor_finding import Finding
from veilflow.pipelines.cluster.addresses import AddressError, Addresses, from_bases
from veilflow.pipelines.cluster.config import Cluster, load_cluster
from veilflow.pipelines.cluster.ports import in_the_way
from veilflow.pipelines.party.setup import PartySetup
from veilflow.pipelines.profile import Facts, facts_of, violations

_PLACES = {
    "cluster file": "cluster file",
    "profile simulation": "cluster file",
    "key files": "keys",
    "tls": "certificate",
    "temporary files": "temporary folder",
    "environment": "environment",
}
"""Where a violation is -> the check it belongs to; all of these are shown, also when nothing is wrong."""


def findings(file: Path, party: str) -> Iterator[Finding]:
    """Everything about ``party``'s machine that would stop a run, and what will soon."""
    try:
        cluster = load_cluster(file)
    except AddressError as error:
        yield Finding("cluster file", "wrong", str(error), "mend the file as it says")
        return
    if party not in cluster.parties:
        known = ", ".join(cluster.parties)
        yield Finding("cluster file", "wrong", f"{file} has no party '{party}'", f"give one of {known}")
        return
    facts = _facts(cluster, party)
    yield from _profile(facts, cluster)
    yield from _dates(facts)
    yield data_folder(cluster.parties[party].data)
    yield names(cluster, party)
    yield ports(cluster, party)


def _facts(cluster: Cluster, party: str) -> Facts:
    tls = cluster.tls
    setup = PartySetup(
        party=party,
        parties=list(cluster.parties),
        addresses=Addresses({name: entry.address for name, entry in cluster.parties.items()}, {}, {}),
        folder=Path("/nonexistent/veilflow"),  # a run's folder is judged when there is a run
        data_root=None,
        listen=cluster.parties[party].listen,
        tls=None if tls is None else {"ca": str(tls.ca), "certificate": str(tls.certificate), "key": str(tls.key)},
        identity=cluster.identity or Path(),
        pins=cluster.pins(),
        profile=cluster.profile,
    )
    return facts_of(setup)


def _profile(facts: Facts, cluster: Cluster) -> Iterator[Finding]:
    good = {
        "cluster file": f"profile {cluster.profile}, {len(cluster.parties)} parties, {len(cluster.pins())} pinned keys",
        "keys": "private, and the identity is the pinned one" if facts.signing_key else "none named",
        "certificate": "names this party, belongs to its key, is signed by the CA" if facts.tls else "none named",
        "temporary folder": str(facts.temp.path) if facts.temp else "",
        "environment": "no debug switch is on",
    }
    found = violations(facts)
    for check, detail in good.items():
        wrong = [each for each in found if _PLACES.get(each.where, "cluster file") == check]
        for each in wrong:
            yield Finding(check, "wrong", f"{each.what}. {each.why}", each.fix)
        if not wrong:
            yield Finding(check, "ok", detail)


def _dates(facts: Facts) -> Iterator[Finding]:
    if facts.tls is None:
        return
    now = datetime.now(timezone.utc)
    named = {"CA certificate": facts.tls.authorities, "certificate": facts.tls.chain}
    for name, found in named.items():
        for certificate in (found or ())[:1]:
            end = f"valid to {certificate.not_valid_after_utc:%Y-%m-%d}"
            if (warning := validity_warning(certificate, now)).startswith("expires in"):
                yield Finding(f"{name} dates", "note", warning, "see docs/deployment.md, Renewing")
            elif not warning:  # what is wrong with the dates now has been said
                yield Finding(f"{name} dates", "ok", end)


def data_folder(folder: Path | None) -> Finding:
    """Whether the folder with this party's tables is there."""
    if folder is None:
        return Finding("data folder", "note", "none named: paths start at the working directory", "add data: FOLDER")
    if not folder.is_dir():
        return Finding(
            "data folder", "wrong", f"{folder} is no folder", "make it, or correct data: in the cluster file"
        )
    return Finding("data folder", "ok", str(folder))


def ports(cluster: Cluster, party: str) -> Finding:
    """Whether this machine can listen where the others will call; whether they can reach it, only they can tell."""
    entry = cluster.parties[party]
    host, base = entry.listen or entry.base[0], entry.base[1]
    numbers = [base]
    if cluster.tls is None:
        try:
            found = from_bases({name: other.base for name, other in cluster.parties.items()}, {"spu": [party]})
        except AddressError as error:
            return Finding("own ports", "wrong", str(error), "choose another base port")
        numbers = sorted(found.own_ports(party))
    taken = list(dict.fromkeys(why for port in numbers if (why := in_the_way(host, port))))
    if taken:
        detail = "; ".join(taken)
        fix = "stop what holds them, choose another base port, or give listen: where the address is not this machine's"
        return Finding("own ports", "wrong", detail, fix)
    shown = f"{host}, {base} is free" if len(numbers) == 1 else f"{host}, {numbers[0]} to {numbers[-1]} are free"
    first, last = handed_out(Path("/proc/sys/net/ipv4/ip_local_port_range"))
    if numbers[-1] >= first and base <= last:
        detail = f"{shown}, but this system gives {first} to {last} to outgoing connections: one may hold it at a start"
        return Finding(
            "own ports", "note", detail, f"choose a port below {first}, or reserve it (ip_local_reserved_ports)"
        )
    return Finding("own ports", "ok", shown)


def handed_out(file: Path) -> tuple[int, int]:
    """First and last port that the kernel gives to outgoing connections; those usual on Linux where it does not say."""
    try:
        first, last = map(int, file.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return 32768, 60999
    return first, last


def names(cluster: Cluster, party: str) -> Finding:
    """Whether this machine knows where the others' addresses lead; nobody is called."""
    unknown = []
    for name, entry in cluster.parties.items():
        try:
            socket.getaddrinfo(*entry.base, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            if name != party or entry.listen is None:
                unknown.append(f"{name} ({entry.base[0]})")
    if unknown:
        detail = f"the name in the address of {', '.join(unknown)} is not known here now"
        return Finding("addresses", "note", detail, "correct it, or see to it that it is known when a run starts")
    return Finding("addresses", "ok", "every party's is known here")
