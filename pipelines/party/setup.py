"""What a party process is told when it starts: plain, JSON-able settings; secrets only as paths of files."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from veilflow.pipelines.cluster.addresses import Addresses


@dataclass(frozen=True)
class SpuDevice:
    """One SPU of the run, as the pipeline file (or its default) declares it."""

    parties: list[str]
    protocol: str = "ABY3"
    field: str = "FM64"
    fxp_fraction_bits: int = 18


@dataclass(frozen=True)
class HeuDevice:
    """The HEU settings of the run."""

    schema: str = "ou"
    key_size: int = 2048


@dataclass(frozen=True)
class PartySetup:
    """Everything a party process needs before its first job."""

    party: str
    parties: list[str]
    addresses: Addresses
    folder: Path
    """The party's private folder: artifacts, index, log, exports."""
    data_root: Path | None
    """Relative input paths start here and may not leave it; None in simulation: the working directory."""
    devices: dict[str, SpuDevice] = field(default_factory=dict)
    heu: HeuDevice | None = None
    listen: str | None = None
    tls: dict[str, str] | None = None
    """ca, certificate, key: PEM files; None on loopback only."""
    identity: Path = Path()
    """This party's Ed25519 signing key (PEM)."""
    pins: dict[str, str] = field(default_factory=dict)
    """Every party's public signing key, as `certs.keys.public_text` writes it."""
    profile: str = "simulation"
    """``simulation`` or ``production``."""
    connect_seconds: int = 120
    """How long a party waits for the others to be there, each time it starts."""
    silence_seconds: int = 20
    """A peer that sends no heartbeat for so long counts as dead."""
    stall_minutes: float = 60
    """A peer that beats but does not send what is waited for counts as stuck after so long."""

    @property
    def simulation(self) -> bool:
        return self.profile == "simulation"

    @property
    def own_ports(self) -> list[int]:
        """Every port that this party listens on."""
        return (self.addresses if self.tls is None else self.addresses.with_one_port()).own_ports(self.party)

    @property
    def connect_attempts(self) -> int:
        """How often to try a peer: one attempt, with the link's own retries, lasts about 10 s where nobody listens."""
        return max(1, self.connect_seconds // 10)

    @property
    def stall_ms(self) -> int:
        """`stall_minutes`, for links."""
        return round(self.stall_minutes * 60_000)

    def to_json(self) -> str:
        document = asdict(self)
        document["folder"] = str(self.folder)
        document["identity"] = str(self.identity)
        document["data_root"] = None if self.data_root is None else str(self.data_root)
        return json.dumps(document)

    @staticmethod
    def from_json(text: str) -> "PartySetup":
        raw = json.loads(text)
        raw["addresses"] = Addresses(**raw["addresses"])
        raw["folder"] = Path(raw["folder"])
        raw["identity"] = Path(raw["identity"])
        raw["data_root"] = None if raw["data_root"] is None else Path(raw["data_root"])
        raw["devices"] = {name: SpuDevice(**device) for name, device in raw["devices"].items()}
        raw["heu"] = None if raw["heu"] is None else HeuDevice(**raw["heu"])
        return PartySetup(**raw)
