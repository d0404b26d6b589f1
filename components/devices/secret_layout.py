"""Ring shares as numpy arrays, and as the SPU keeps them: the same bytes, so that rows are cut at each rank alone.

One rank's part of a secret array is ``uint64`` of shape ``(*shape, k)``, fixed-point values in the ring mod 2^64:

- ABY3, k = 2: ``[..., 0]`` is x_i and ``[..., 1]`` is x_(i+1 mod 3), where x = x_0 + x_1 + x_2;
- CHEETAH, k = 1: ``[..., 0]`` is x_i, where x = x_0 + x_1.

This is libspu's own memory layout of an arithmetic share (``aby3.AShr<FM64>``, ``cheetah.AShr<FM64>``; a test holds it
to that), so a conversion is a header in front of the bytes and costs no communication.
"""

from collections.abc import Sequence

import numpy as np
from spu import libspu

from veilflow.components.errors import ComponentError

__all__ = ["FRACTION_BITS", "WIDTHS", "from_share", "is_number", "ring", "to_share", "value"]

FRACTION_BITS = 18

WIDTHS = {"ABY3": 2, "CHEETAH": 1}
"""Protocol -> k, the ring elements that one rank keeps of each value."""

_STORAGE = {"ABY3": "aby3.AShr<FM64>", "CHEETAH": "cheetah.AShr<FM64>"}
_CHUNK = 1 << 27
"""Bytes per message chunk, as libspu cuts them; protobuf ends at 2^31."""


def to_share(part: np.ndarray, protocol: str) -> libspu.Share:
    """One rank's part as an SPU share of single-precision values, of shape ``part.shape[:-1]``.

    Args:
        part: uint64, shape (*shape, k); a slice of rows or columns will do.
        protocol: ``ABY3`` or ``CHEETAH``.
    """
    assert (part.dtype, part.shape[-1]) == (np.dtype(np.uint64), WIDTHS[protocol]), (part.dtype, part.shape, protocol)
    meta = libspu.ValueMeta()
    meta.data_type, meta.visibility = libspu.DataType.DT_F32, libspu.Visibility.VIS_SECRET
    meta.shape, meta.storage_type = list(part.shape[:-1]), _STORAGE[protocol]
    raw = np.ascontiguousarray(part).tobytes()
    found = libspu.Share()
    found.meta = meta.SerializeToString()
    found.share_chunks = [_chunk(raw, start) for start in range(0, max(1, len(raw)), _CHUNK)]
    return found


def is_number(share: libspu.Share, protocol: str) -> bool:
    """Is it a secret single-precision value in arithmetic shares? Others: public, integers, shares of bits."""
    meta = _meta(share)
    return bool(meta.storage_type == _STORAGE[protocol] and meta.data_type == libspu.DataType.DT_F32)


def from_share(share: libspu.Share, protocol: str) -> np.ndarray:
    """The inverse of `to_share`; shape (*shape, k).

    Raises:
        ComponentError: a public value, integers, or shares of bits (see `is_number`).
    """
    meta = _meta(share)
    if not is_number(share, protocol):
        raise ComponentError(
            f"a variable kept as '{meta.storage_type}' of {meta.data_type.name} is no array of secret fixed-point "
            f"numbers, which are kept as {_STORAGE[protocol]}."
        )
    pieces = []
    for raw in share.share_chunks:
        chunk = libspu.ValueChunk()
        chunk.ParseFromString(raw)
        pieces.append((chunk.chunk_offset, chunk.content))
    whole = b"".join(content for _, content in sorted(pieces))
    return np.frombuffer(whole, np.uint64).reshape(*meta.shape.dims, WIDTHS[protocol])


def ring(values: np.ndarray) -> np.ndarray:
    """Real numbers as ring elements with 18 fraction bits: uint64 of the same shape; |values| below 2^45."""
    fixed: np.ndarray = np.rint(np.asarray(values, np.float64) * 2.0**FRACTION_BITS).astype(np.int64).view(np.uint64)
    return fixed


def value(parts: Sequence[np.ndarray]) -> np.ndarray:
    """The numbers behind all ranks' parts, in rank order; whoever holds all parts learns them."""
    total = np.zeros(parts[0].shape[:-1], np.uint64)
    for part in parts:
        total = total + part[..., 0]
    return total.view(np.int64) / 2.0**FRACTION_BITS


def _meta(share: libspu.Share) -> libspu.ValueMeta:
    meta = libspu.ValueMeta()
    meta.ParseFromString(share.meta)
    return meta


def _chunk(raw: bytes, start: int) -> bytes:
    chunk = libspu.ValueChunk()
    chunk.total_bytes, chunk.chunk_offset = len(raw), start
    chunk.content = raw[start : start + _CHUNK]
    serialised: bytes = chunk.SerializeToString()
    return serialised
