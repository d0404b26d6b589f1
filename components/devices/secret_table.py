"""A table of SPU shares at rest: one file per SPU party, of which that party can read any rows without the others.

Public   columns (name, owner, kind), the number of rows, whether it is secret who they are, how many of them are people
         for certain, protocol and parties of the SPU: in the `DistData`.
Private  per party its ring shares, uint64 of shape (rows, columns, k), see `secret_layout`. One file: a JSON document
         and the array, both as `numpy.save` writes them; written block by block and read through a memory map, so a
         table need not fit into memory. No pickle.
Refused  shares of another protocol or order of parties (they would be read as other numbers), and parts of two tables.

A party's file alone is uniformly random and says nothing but its size.
"""

import json
import mmap
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from secretflow.component.core import Context, ObjectFile, Output, Version
from secretflow.device import PYUObject
from secretflow_spec.v1.data_pb2 import DistData

from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.secret_layout import FRACTION_BITS, WIDTHS
from veilflow.components.errors import ComponentError

SECRET_TABLE_KIND = "sf.model.vf_secret_table"
"""Kuscia moves only what begins with ``sf.rule`` or ``sf.model`` between its steps, hence the name."""

FEATURE, LABEL, WEIGHT, MASK = "feature", "label", "weight", "mask"
COLUMN_KINDS = (FEATURE, LABEL, WEIGHT, MASK)

BLOCK_BYTES = 1 << 26
_VERSION = 2

Blocks = np.ndarray | Sequence[np.ndarray]
"""A whole array (a memory map will do), or consecutive blocks of rows."""


@dataclass(frozen=True)
class SecretColumn:
    """A public description of one secret column."""

    name: str
    owner: str
    """Whose data it is; empty where it was computed inside the SPU (a membership mask)."""
    kind: str = FEATURE
    """``feature``, ``label``, ``weight`` (of a row, non-negative) or ``mask`` (1 for rows that count, else 0)."""


@dataclass(frozen=True)
class SpuFacts:
    """What stored shares depend on."""

    protocol: str
    parties: tuple[str, ...]
    """In rank order."""

    @staticmethod
    def of(device: Any) -> "SpuFacts":
        """Facts of an SPU device or a `SecretMachine`.

        Raises:
            ComponentError: a protocol whose shares cannot be stored like this.
        """
        definition = device.cluster_def
        protocol = str(definition["runtime_config"].get("protocol", "")).split(".")[-1]
        if protocol not in WIDTHS:
            raise ComponentError(f"shares of {protocol or 'no protocol'} cannot be stored; use ABY3 or CHEETAH.")
        # SecretFlow ranks parties by name once a device is made, in whatever order its definition lists them.
        return SpuFacts(protocol, tuple(sorted(node["party"] for node in definition["nodes"])))


@dataclass(frozen=True)
class SecretTable:
    """The public description of a stored table."""

    columns: tuple[SecretColumn, ...]
    rows: int
    spu: SpuFacts
    identity: str
    """Random name of this table; the parts of one table carry the same one."""
    anonymous: bool = True
    """Nobody knows who the rows are; False where the holders know already (a plain alignment came before)."""
    certain: int = 0
    """Of an anonymous table the first so many rows are people; of the others nobody knows which are padding."""

    @property
    def opened_exactly(self) -> bool:
        """Whether figures over its rows tell nothing that is hidden: known rows that all count alike."""
        return not (self.anonymous or self.positions(MASK) or self.positions(WEIGHT))

    def positions(self, kind: str) -> list[int]:
        """Where the columns of a kind are, in table order."""
        return [i for i, column in enumerate(self.columns) if column.kind == kind]

    def names(self, kind: str) -> list[str]:
        return [column.name for column in self.columns if column.kind == kind]

    def to_json(self) -> dict[str, Any]:
        return {
            "version": _VERSION,
            "fraction_bits": FRACTION_BITS,
            "columns": [asdict(column) for column in self.columns],
            "rows": self.rows,
            "protocol": self.spu.protocol,
            "parties": list(self.spu.parties),
            "identity": self.identity,
            "anonymous": self.anonymous,
            "certain": self.certain,
        }

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> "SecretTable":
        """Read what `to_json` wrote.

        Raises:
            ComponentError: another version of the format.
        """
        if document.get("version") != _VERSION or document.get("fraction_bits") != FRACTION_BITS:
            raise ComponentError(
                f"the secret table has format {document.get('version')}, this VeilFlow reads {_VERSION}; align again."
            )
        columns = tuple(SecretColumn(**each) for each in document["columns"])
        spu = SpuFacts(document["protocol"], tuple(document["parties"]))
        return SecretTable(
            columns,
            int(document["rows"]),
            spu,
            document["identity"],
            bool(document["anonymous"]),
            int(document["certain"]),
        )


def write_secret_table(
    ctx: Context,
    output: Output,
    parts: Mapping[str, PYUObject],
    columns: Sequence[SecretColumn],
    rows: int,
    spu: SpuFacts,
    anonymous: bool = True,
    certain: int = 0,
) -> SecretTable:
    """Store ``parts`` under ``output``.

    Args:
        parts: per party of the SPU its shares (`Blocks`), uint64 of shape (rows, columns, k) together.
        columns: public; names must differ.
        rows: public, the same at every party (padded rows included).
        anonymous, certain: see `SecretTable`.

    Raises:
        ComponentError: a party is missing, columns share a name; at a party, where its part has another shape.
    """
    if set(parts) != set(spu.parties):
        raise ComponentError(f"shares come from {_listed(parts)}, but the SPU's parties are {_listed(spu.parties)}.")
    names = [column.name for column in columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ComponentError(f"the secret table would have two columns called {_listed(twice)}; rename one.")
    assert all(column.kind in COLUMN_KINDS for column in columns), columns
    storage, uri, shape = ctx.storage, output.uri, (rows, len(columns), WIDTHS[spu.protocol])
    identity: str = publish(run_on(spu.parties[0], secrets.token_hex, 16))
    table = SecretTable(tuple(columns), rows, spu, identity, anonymous, certain)

    def store(party: str, part: Blocks) -> bool:
        with storage.get_writer(uri) as writer:
            write_part(writer, {"identity": identity, "rank": spu.parties.index(party)}, part, shape)
        return True

    publish({party: run_on(party, store, party, part) for party, part in parts.items()})
    refs = [DistData.DataRef(party=party, uri=uri, format="npy") for party in spu.parties]
    file = ObjectFile(
        name=uri, type=SECRET_TABLE_KIND, data_refs=refs, version=Version(1, 0), public_info=table.to_json()
    )
    output.data = file.to_distdata()
    return table


def read_secret_table(
    ctx: Context, stored: DistData, spu: SpuFacts | None = None
) -> tuple[SecretTable, dict[str, PYUObject]]:
    """The public description, and per party its shares (a read-only memory map) at that party.

    Args:
        spu: of the SPU that will work on the table; None where nothing will be computed.

    Raises:
        ComponentError: no secret table, another protocol or order of parties, or parts of different tables.
    """
    file = ObjectFile.from_distdata(stored)
    if file.type != SECRET_TABLE_KIND:
        raise ComponentError(f"expected a secret table ('{SECRET_TABLE_KIND}'), got '{file.type}'.")
    table = SecretTable.from_json(file.public_info)
    if spu is not None and spu != table.spu:
        raise ComponentError(
            f"the secret table was made for {_named(table.spu)}, but this step's SPU is {_named(spu)}; "
            "shares would be read as other numbers. Use the SPU of the alignment."
        )
    storage, refs = ctx.storage, {ref.party: ref.uri for ref in file.data_refs}
    shape = (table.rows, len(table.columns), WIDTHS[table.spu.protocol])

    def load(party: str) -> np.ndarray:
        wanted = {"identity": table.identity, "rank": table.spu.parties.index(party)}
        with storage.get_reader(refs[party]) as reader:
            return read_part(reader, wanted, shape)

    return table, {party: run_on(party, load, party) for party in table.spu.parties}


def write_part(sink: Any, document: Mapping[str, Any], part: Blocks, shape: tuple[int, int, int]) -> None:
    """One party's file, written block by block.

    Raises:
        ComponentError: the blocks together do not have ``shape``, or are not uint64.
    """
    text = json.dumps(document, sort_keys=True).encode()
    text += b" " * (-len(text) % 64)  # numpy pads its headers to 64 bytes, so the array then starts aligned
    np.save(sink, np.frombuffer(text, np.uint8), allow_pickle=False)
    header = {"descr": "<u8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_2_0(sink, header)  # type: ignore[no-untyped-call]
    found = 0
    for block in _blocks(part):
        if block.dtype != np.uint64 or block.shape[1:] != shape[1:]:
            raise ComponentError(f"shares are {block.dtype} {block.shape}; expected uint64 (rows, *{shape[1:]}).")
        found += len(block)
        sink.write(np.ascontiguousarray(block, "<u8").data)
    if found != shape[0]:
        raise ComponentError(f"a part of a secret table has {found} rows, the others {shape[0]}.")


def read_part(source: Any, document: Mapping[str, Any], shape: tuple[int, int, int]) -> np.ndarray:
    """The inverse of `write_part`: a read-only memory map where ``source`` is a file, else an array in memory.

    Raises:
        ComponentError: the file belongs to another table or party, or is cut off.
    """
    try:
        found = json.loads(np.load(source, allow_pickle=False).tobytes())
        np.lib.format.read_magic(source)  # type: ignore[no-untyped-call]
        stored, _, dtype = np.lib.format.read_array_header_2_0(source)  # type: ignore[no-untyped-call]
    except (ValueError, EOFError):
        raise ComponentError("a stored part of the secret table is no such file; align again.") from None
    if found != dict(document) or tuple(stored) != shape or dtype != np.dtype("<u8"):
        raise ComponentError("a stored part of the secret table belongs to another table or party; align again.")
    size, at = int(np.prod(shape)) * 8, source.tell()
    try:
        raw: Any = mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
    except (AttributeError, OSError):  # not a file: remote storage
        raw, at = source.read(), 0
    if len(raw) < at + size and size:
        raise ComponentError("a stored part of the secret table is cut off; align again.")
    return np.frombuffer(raw, np.uint64, size // 8, at if size else 0).reshape(shape)


def _blocks(part: Blocks) -> Iterator[np.ndarray]:
    if not isinstance(part, np.ndarray):
        yield from part
        return
    step = max(1, BLOCK_BYTES // max(1, part[:1].nbytes))
    for start in range(0, len(part), step):
        yield part[start : start + step]


def _named(spu: SpuFacts) -> str:
    return f"{spu.protocol} with {_listed(spu.parties)}"


def _listed(names: Any) -> str:
    return ", ".join(names)
