"""The parties of a run together with an ABY3 SPU (`alignment.anonymous.spu_compare.protocol.ComparingParties`).

Numbers enter and bits leave as shares that are already there: nothing is sent but the SPU's own messages. Opened is one
bit per call of `at_least`, to all.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from spu import libspu

from veilflow.components.devices.parties import DeviceParties
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.secret import SecretMachine, SecretProgram
from veilflow.components.devices.secret_layout import to_share
from veilflow.components.devices.secret_shares import frame, unframe

_NUMBER, _BIT = "compared", "verdict"
_BITS = "aby3.BShr<PT_U8,"


class SpuParties(DeviceParties):
    """`DeviceParties` and comparisons inside an SPU.

    Args:
        machine: an ABY3 SPU over three parties.
    """

    def __init__(self, machine: SecretMachine) -> None:
        self._machine = machine

    def is_zero(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        """Per party: uint64, shape (n, 2), of n numbers -> uint8, shape (n, 2); the bits XOR to 1 where one is 0."""
        self._load(parts)
        self._machine.run(SecretProgram("is zero", _is_zero, (_NUMBER,), (_BIT,)))
        saved = self._machine.save([_BIT])
        self._machine.drop([_NUMBER, _BIT])
        return {party: run_on(party, _bits, part) for party, part in saved.items()}

    def at_least(self, parts: Mapping[str, Any], threshold: int) -> bool:
        """Whether one number (per party uint64, shape (2,)) reaches ``threshold``; opened to all."""
        self._load(parts)
        first = self._machine.parties[0]
        # The threshold stands in the program, so that parties that have another one do not run it.
        program = SecretProgram(f"at least {threshold}", _reaches(threshold), (_NUMBER,), (_BIT,))
        found = self._machine.open_to(first, program)
        verdict: bool = publish(run_on(first, lambda opened: bool(opened[_BIT]), found))
        return verdict

    def _load(self, parts: Mapping[str, Any]) -> None:
        machine = self._machine
        documents = {
            party: run_on(party, _part, parts[party], rank, machine.world, machine.runtime)
            for rank, party in enumerate(machine.parties)
        }
        machine.load(documents)


def _is_zero(number: Any) -> tuple[Any]:
    return (number == 0,)


def _reaches(threshold: int) -> Any:
    return lambda number: (number >= threshold,)


def integers(part: np.ndarray) -> libspu.Share:
    """One rank's part of whole numbers as an ABY3 share."""
    share = to_share(part, "ABY3")
    meta = libspu.ValueMeta()
    meta.ParseFromString(share.meta)
    meta.data_type = libspu.DataType.DT_I64
    share.meta = meta.SerializeToString()
    return share


def bits(share: libspu.Share) -> np.ndarray:
    """One rank's part of bits that the SPU keeps XOR-shared: uint8, shape (n, 2), of which the lowest bits count."""
    meta = libspu.ValueMeta()
    meta.ParseFromString(share.meta)
    assert meta.storage_type.startswith(_BITS), meta.storage_type
    pieces = []
    for raw in share.share_chunks:
        chunk = libspu.ValueChunk()
        chunk.ParseFromString(raw)
        pieces.append((chunk.chunk_offset, chunk.content))
    return np.frombuffer(b"".join(content for _, content in sorted(pieces)), np.uint8).reshape(-1, 2)


def _part(part: np.ndarray, rank: int, world: int, runtime: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """As `SecretMachine.load` takes it."""
    document = {"rank": rank, "world": world, "runtime": json.loads(runtime), "names": [_NUMBER]}
    raw = frame({_NUMBER: integers(part)})
    return document, {f"share/{_NUMBER}": np.frombuffer(raw, np.uint8)}


def _bits(saved: tuple[dict[str, Any], dict[str, np.ndarray]]) -> np.ndarray:
    (share,) = unframe(saved[1][f"share/{_BIT}"].tobytes()).values()
    return bits(share)
