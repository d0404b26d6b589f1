"""Whole numbers of any width as bytes without gaps: what travels takes the bits it needs, and none more.

Nobody adds these bytes; `packing` leaves room in each slot, so that packed numbers can be added while encrypted.
"""

from __future__ import annotations

import numpy as np

from veilflow.components.errors import ComponentError

MAX_WIDTH = 64


def packed_size(count: int, width: int) -> int:
    """Bytes that ``count`` numbers of ``width`` bits take."""
    return -(-count * width // 8)


def pack_bits(values: np.ndarray, width: int) -> bytes:
    """The lowest ``width`` bits of each of ``values`` (uint64, shape ``(d,)``), most significant bit first."""
    assert values.dtype == np.uint64, "signed numbers have no agreed bits: see `signed` and `unsigned`"
    octets = -(-width // 8)
    raw = values.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 8 - octets :]
    if width % 8 == 0:
        return raw.tobytes()
    return np.packbits(np.unpackbits(raw, axis=1)[:, 8 * octets - width :]).tobytes()


def unpack_bits(raw: bytes, width: int, count: int) -> np.ndarray:
    """The inverse of `pack_bits`: uint64 of shape ``(count,)``.

    Raises:
        ComponentError: another number of bytes, or bits behind the last number.
    """
    if len(raw) != packed_size(count, width):
        raise ComponentError(
            f"{len(raw)} bytes were received for {count} numbers of {width} bits, which take "
            f"{packed_size(count, width)}. Parties run different versions of VeilFlow or of the pipeline file; use the "
            "same."
        )
    octets = -(-width // 8)
    wide = np.zeros((count, 8), np.uint8)
    if width % 8 == 0:
        wide[:, 8 - octets :] = np.frombuffer(raw, np.uint8).reshape(count, octets)
    else:
        bits = np.unpackbits(np.frombuffer(raw, np.uint8))
        if bits[count * width :].any():
            raise ComponentError("packed numbers have bits behind their end: a peer runs another version, or cheats.")
        lines = np.zeros((count, 8 * octets), np.uint8)
        lines[:, 8 * octets - width :] = bits[: count * width].reshape(count, width)
        wide[:, 8 - octets :] = np.packbits(lines, axis=1)
    return wide.view(">u8").reshape(-1).astype(np.uint64)


def unsigned(values: np.ndarray, width: int) -> np.ndarray:
    """int64 as residues modulo ``2**width``: uint64."""
    residues: np.ndarray = values.astype(np.int64).view(np.uint64) & _ones(width)
    return residues


def signed(residues: np.ndarray, width: int) -> np.ndarray:
    """The inverse of `unsigned`: int64 from ``-2**(width - 1)`` on."""
    shift = np.int64(MAX_WIDTH - width)
    moved: np.ndarray = (residues << np.uint64(shift)).view(np.int64) >> shift
    return moved


def width_of(bound: int) -> int:
    """The narrowest width whose residues tell all of ``-bound .. bound`` apart."""
    return bound.bit_length() + 1


def _ones(width: int) -> np.uint64:
    ones: np.uint64 = np.uint64((1 << width) - 1)
    return ones
