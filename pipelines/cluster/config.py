"""`cluster.yaml`: where each party is, where its data lies, and its TLS files.

    version: 1
    parties:
      hospital:    {address: "10.0.0.1:9100", data: /srv/hospital}
      insurer:     {address: "10.0.0.2:9100", data: /srv/insurer}
      coordinator: {address: "10.0.0.3:9100"}
    tls: {ca: certs/ca.pem, certificate: certs/me.pem, key: certs/me.key}

`address` is the base: see `addresses` for the ports that follow it. `listen` replaces the host this party binds to
(behind NAT). Without `tls` only loopback addresses are accepted.
"""

import ipaddress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from veilflow.pipelines.cluster.addresses import AddressError


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PartyEntry(_Strict):
    """One party's row of the table."""

    address: str = Field(pattern=r"^[A-Za-z0-9.\-]+:\d{1,5}$")
    listen: str | None = Field(None, pattern=r"^[A-Za-z0-9.\-]+$")
    data: Path | None = None

    @property
    def base(self) -> tuple[str, int]:
        host, port = self.address.rsplit(":", 1)
        return host, int(port)


class TlsFiles(_Strict):
    """PEM files of this machine's party."""

    ca: Path
    certificate: Path
    key: Path


class Cluster(_Strict):
    """A parsed cluster file."""

    version: int = Field(ge=1, le=1)
    parties: dict[str, PartyEntry] = Field(min_length=2)
    tls: TlsFiles | None = None
    policies: list[Path] = []
    """This party's own: enforced here, neither compared with the others nor told them."""

    def is_loopback(self) -> bool:
        return all(_loopback(entry.base[0]) for entry in self.parties.values())


def load_cluster(path: Path) -> Cluster:
    """Read and check a cluster file.

    Raises:
        AddressError: with every problem of the file, or because links would leave the machine unencrypted.
    """
    try:
        document = YAML(typ="safe").load(path.read_text())
    except (OSError, YAMLError) as error:
        raise AddressError(f"{path}: cannot be read as YAML: {str(error).splitlines()[0]}") from error
    try:
        cluster = Cluster.model_validate(document)
    except ValidationError as error:
        lines = [f"  {' -> '.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise AddressError("\n".join([f"{path}: {len(lines)} problem(s)", *lines])) from error
    if cluster.tls is None and not cluster.is_loopback():
        raise AddressError(
            f"{path}: addresses leave this machine but there is no 'tls' section. Add tls: {{ca, certificate, key}}."
        )
    return _with_absolute_files(cluster, path.parent)


def _with_absolute_files(cluster: Cluster, base: Path) -> Cluster:
    parties = {
        name: entry.model_copy(update={"data": None if entry.data is None else (base / entry.data).resolve()})
        for name, entry in cluster.parties.items()
    }
    tls = cluster.tls
    if tls is not None:
        tls = TlsFiles(**{name: (base / value).resolve() for name, value in tls})
        missing = [str(value) for _, value in tls if not value.is_file()]
        if missing:
            raise AddressError(f"TLS file(s) not found: {', '.join(missing)}.")
    policies = [(base / path).resolve() for path in cluster.policies]
    return cluster.model_copy(update={"parties": parties, "tls": tls, "policies": policies})


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
