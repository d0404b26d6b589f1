"""`cluster.yaml`: where each party is, who it is, and this machine's own files.

    version: 1
    profile: production
    parties:
      hospital:    {address: "10.0.0.1:9100", data: /srv/hospital, signing_key: "ed25519:..."}
      insurer:     {address: "10.0.0.2:9100", data: /srv/insurer, signing_key: "ed25519:..."}
      coordinator: {address: "10.0.0.3:9100", signing_key: "ed25519:..."}
    tls: {ca: certs/ca.pem, certificate: certs/hospital.pem, key: certs/hospital.key}
    identity: certs/hospital.signing.pem
    policies: [policies/hospital_private.yaml]

`address` is where the others reach a party: one port, which all links enter by (without TLS, on one machine, libraries'
links have ports that follow it: see `addresses`). `listen` replaces the host this party binds to (behind NAT). IPv6
addresses stand in brackets. `signing_key` is the public key that a party's messages must carry. `policies` bind this
party only. `connect_seconds` (120), `silence_seconds` (20) and `stall_minutes` (60) bound what this party waits for:
the others at the start, a heartbeat, and a message of a party that beats. `profile: simulation` is for one
machine: every address is loopback, and certificates and keys may be left out.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from veilflow.pipelines.cluster.addresses import AddressError
from veilflow.pipelines.cluster.hosts import check_host, split
from veilflow.pipelines.spec.document import parse
from veilflow.pipelines.spec.problem import Problem, did_you_mean

Profile = Literal["production", "simulation"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _address(text: str) -> str:
    split(text)
    return text


class PartyEntry(_Strict):
    """One party's row of the table."""

    address: Annotated[str, AfterValidator(_address)]
    listen: Annotated[str, AfterValidator(check_host)] | None = None
    data: Path | None = None
    signing_key: str | None = None
    """``ed25519:BASE64``: the public key of this party, pinned."""

    @property
    def base(self) -> tuple[str, int]:
        return split(self.address)


class TlsFiles(_Strict):
    """PEM files of this machine's party."""

    ca: Path
    certificate: Path
    key: Path


class Cluster(_Strict):
    """A parsed cluster file."""

    version: int = Field(ge=1, le=1)
    profile: Profile = "production"
    parties: dict[str, PartyEntry] = Field(min_length=2)
    tls: TlsFiles | None = None
    identity: Path | None = None
    """This machine's private signing key."""
    undeclared: list[str] = []
    """Components (``domain/name``) that this party runs although they do not say what they send."""
    policies: list[Path] = []
    """This party's own: enforced here, neither compared with the others nor told them."""
    connect_seconds: int = Field(120, ge=10, le=86_400)
    silence_seconds: int = Field(20, ge=6, le=600)
    stall_minutes: float = Field(60, gt=0, le=10_080)

    def is_loopback(self) -> bool:
        return not self.outside()

    def outside(self) -> list[str]:
        """Parties whose address leaves this machine."""
        return [name for name, entry in self.parties.items() if not is_loopback_host(entry.base[0])]

    def pins(self) -> dict[str, str]:
        """Party -> its public signing key, where the file names one (in production: for all)."""
        return {name: entry.signing_key for name, entry in self.parties.items() if entry.signing_key is not None}


def load_cluster(path: Path) -> Cluster:
    """Read and check a cluster file.

    Raises:
        AddressError: with every problem of the file, and what to do about each.
    """
    cluster = _with_absolute_files(_read(path), path.parent)
    _refuse(path, list(_problems(cluster)))
    return cluster


def _read(path: Path) -> Cluster:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except OSError as error:
        raise AddressError(f"{path}: cannot be read: {error.strerror}.") from None
    if len(raw) > _LARGEST:
        raise AddressError(f"{path}: larger than {_LARGEST >> 20} MiB; this is no cluster file.")
    document = parse(raw)
    if not raw.strip():
        document.problems[:] = [Problem("the file is empty; a cluster file has version and parties", line=1)]
    elif not document.problems and not isinstance(document.data, dict):
        document.problem((), "expected a mapping with version, profile and parties")
    _refuse(path, document.problems)
    try:
        return Cluster.model_validate(document.data)
    except ValidationError as error:
        for item in error.errors():
            document.problem(tuple(item["loc"]), _said(item))
    _refuse(path, document.problems)
    raise AssertionError("a validation error names a problem")


_LARGEST = 2**20


def _said(item: Any) -> str:
    if item["type"] == "extra_forbidden":
        known = {name for model in (Cluster, PartyEntry, TlsFiles) for name in model.model_fields}
        return f"unknown key{did_you_mean(str(item['loc'][-1]), known)}"
    return "is missing" if item["type"] == "missing" else str(item["msg"]).removeprefix("Value error, ")


def _refuse(path: Path, problems: Sequence[object]) -> None:
    if problems:
        raise AddressError("\n".join([f"{path}: {len(problems)} problem(s)", *(f"  {each}" for each in problems)]))


def _problems(cluster: Cluster) -> Iterator[str]:
    """Everything that keeps this cluster from starting, each with what to do."""
    yield from _pin_problems(cluster)
    missing = [str(file) for file in _own_files(cluster) if not file.is_file()]
    if missing:
        yield f"file(s) not found: {', '.join(missing)}. `veilflow certs` makes them."
    if cluster.profile == "simulation":
        if outside := cluster.outside():
            yield (
                f"profile: simulation is for one machine, but the address of {', '.join(outside)} leaves it. "
                "Use 127.0.0.1, or profile: production with tls, identity and signing keys."
            )
        return
    otherwise = " On one machine, profile: simulation does without." if cluster.is_loopback() else ""
    if cluster.tls is None:
        yield f"links would be unencrypted: add tls: {{ca, certificate, key}}.{otherwise}"
    if cluster.identity is None:
        yield "this machine's party cannot sign: add identity: NAME.signing.pem."
    unpinned = [name for name in cluster.parties if name not in cluster.pins()]
    if unpinned:
        yield (
            f"nothing tells {', '.join(unpinned)} from somebody else: add signing_key: "
            '"ed25519:..." from each one\'s NAME.signing.pub.'
        )


def _pin_problems(cluster: Cluster) -> Iterator[str]:
    from veilflow.pipelines.certs.keys import parse_public
    from veilflow.pipelines.certs.private_files import KeyFileError

    owner: dict[str, str] = {}
    for name, pin in cluster.pins().items():
        try:
            parse_public(pin)
        except KeyFileError as error:
            yield f"parties -> {name} -> signing_key: {error}"
            continue
        other = owner.setdefault(pin, name)
        if other != name:
            yield f"{other} and {name} have the same signing_key, so each could speak as the other."


def _own_files(cluster: Cluster) -> Iterator[Path]:
    if cluster.tls is not None:
        yield from (cluster.tls.ca, cluster.tls.certificate, cluster.tls.key)
    if cluster.identity is not None:
        yield cluster.identity


def _with_absolute_files(cluster: Cluster, base: Path) -> Cluster:
    def absolute(file: Path | None) -> Path | None:
        return None if file is None else (base / file).resolve()

    parties = {name: entry.model_copy(update={"data": absolute(entry.data)}) for name, entry in cluster.parties.items()}
    tls = cluster.tls
    if tls is not None:
        tls = TlsFiles(**{name: (base / value).resolve() for name, value in tls})
    policies = [(base / path).resolve() for path in cluster.policies]
    changed = {"parties": parties, "tls": tls, "identity": absolute(cluster.identity), "policies": policies}
    return cluster.model_copy(update=changed)


def is_loopback_host(host: str) -> bool:
    """Whether ``host`` is this machine for certain: a loopback address, or ``localhost``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
