"""The typed pipeline: frozen, strict, nothing unknown allowed."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"
MAX_SPUS = 8
"""Each SPU listens on a port of its own, at a fixed distance from the party's base port."""
NAME_RULE = "a name starts with a letter and has at most 64 letters, digits and underscores"


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ValueError(f"'{name}' is listed twice")
    return names


def _party_names(names: tuple[str, ...]) -> tuple[str, ...]:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise ValueError(f"'{other}' and '{name}' differ only in case, but each is a folder of the output")
    if len(names) < 2:
        raise ValueError(f"a pipeline joins at least 2 parties, here is {len(names)}")
    return names


def _wiring(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return tuple(value)
    raise ValueError("expected 'node.output', or a list of them for an input that takes several")


Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_tuple), AfterValidator(_distinct)]


class Strict(BaseModel):
    """Public settings: safe to log, to hash and to send."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class Device(Strict):
    """A secure device that several parties form together.

    ``spu`` computes on secret shares: ``protocol``, ``field`` (ring size) and ``fxp_fraction_bits`` apply. ``heu``
    computes on homomorphic ciphertexts: ``scheme`` and ``key_bits`` apply.
    """

    kind: Literal["spu", "heu"]
    parties: Names
    protocol: Literal["ABY3", "CHEETAH", "SEMI2K"] | None = None
    field: Literal["FM64", "FM128"] = "FM64"
    fxp_fraction_bits: int | None = Field(default=None, ge=1, le=60)
    """None: 18 for FM64, 40 for FM128."""
    scheme: Literal["ou", "paillier"] = "ou"
    key_bits: int = Field(default=2048, ge=2048, le=8192)

    @model_validator(mode="after")
    def _check(self) -> "Device":
        allowed = {"spu": {"protocol", "field", "fxp_fraction_bits"}, "heu": {"scheme", "key_bits"}}[self.kind]
        extra = sorted(self.model_fields_set - allowed - {"kind", "parties"})
        if extra:
            raise ValueError(f"'{extra[0]}' does not apply to a device of kind {self.kind}; remove it")
        if len(self.parties) < 2:
            raise ValueError(f"a device is formed by at least 2 parties, here is {len(self.parties)}")
        wanted = {"ABY3": 3, "CHEETAH": 2}.get(self.protocol or "")
        if wanted and len(self.parties) != wanted:
            raise ValueError(f"{self.protocol} takes exactly {wanted} parties, here are {len(self.parties)}")
        return self

    @property
    def spu_protocol(self) -> str:
        """The protocol, or the default for this number of parties."""
        return self.protocol or default_protocol(len(self.parties))

    @property
    def fraction_bits(self) -> int:
        """Fixed-point fraction bits."""
        return self.fxp_fraction_bits or {"FM64": 18, "FM128": 40}[self.field]


class Node(Strict):
    """One step: a component, where its inputs come from, and its parameters."""

    uses: str
    needs: Annotated[dict[str, Annotated[str | tuple[str, ...], BeforeValidator(_wiring)]], Field(default_factory=dict)]
    params: dict[str, Any] = Field(default_factory=dict, alias="with")
    device: str | None = None


def _device_counts(devices: dict[str, Device]) -> dict[str, Device]:
    heus = [name for name, device in devices.items() if device.kind == "heu"]
    if len(heus) > 1:
        raise ValueError(f"one device of kind heu serves every step, here are {len(heus)}: {', '.join(heus)}")
    if len(devices) - len(heus) > MAX_SPUS:
        raise ValueError(f"at most {MAX_SPUS} devices of kind spu, here are {len(devices) - len(heus)}")
    return devices


class Header(Strict):
    """Everything of a pipeline file but its nodes."""

    version: Literal[1]
    name: Name
    description: str = ""
    parties: Annotated[Names, AfterValidator(_party_names)]
    devices: Annotated[dict[Name, Device], AfterValidator(_device_counts)] | None = None


class Pipeline(Header):
    """A pipeline file that passed every check."""

    nodes: dict[str, Node]
    """In file order."""
    sha256: str
    """Of the file's bytes, in hexadecimal."""
    overrides: tuple[str, ...] = ()
    """The ``--set`` options, as given."""

    def all_devices(self) -> Mapping[str, Device]:
        """Devices by name; without ``devices:`` in the file, one ABY3 SPU named ``spu`` if there are three parties."""
        return default_devices(self.parties) if self.devices is None else self.devices


def default_protocol(parties: int) -> str:
    """CHEETAH for two, ABY3 for three. SEMI2K is left for more, and for those who ask: SPU calls its default triples,
    which the first party deals, not safe."""
    return {2: "CHEETAH", 3: "ABY3"}.get(parties, "SEMI2K")


def default_devices(parties: tuple[str, ...]) -> dict[str, Device]:
    """The devices of a file that names none."""
    return {"spu": Device(kind="spu", parties=parties, protocol="ABY3")} if len(parties) == 3 else {}
