"""Shares as messages: what an owner sends to each SPU rank, and what the ranks send to the one who may open a value.

`spu.Io` makes and joins the shares. A message is plain bytes with a JSON head, so that nothing on the wire needs
pickle and one message per rank carries everything a step needs, whatever the number of arrays and chunks.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import spu
from spu import libspu

_HEAD = struct.Struct("<Q")


def share(runtime: str, world: int, arrays: Mapping[str, np.ndarray]) -> list[bytes]:
    """Secret-share named arrays; item ``i`` of the result is the message for rank ``i`` and for nobody else.

    Args:
        runtime: the SPU's runtime configuration as JSON.
        world: number of ranks.
        arrays: numeric arrays; floats are rounded to the fixed point of the configuration.
    """
    shared = {name: _io(runtime, world).make_shares(_contiguous(x), _SECRET) for name, x in arrays.items()}
    return [frame({name: shares[rank] for name, shares in shared.items()}) for rank in range(world)]


def public(runtime: str, world: int, rank: int, value: np.ndarray) -> libspu.Share:
    """A value that everybody knows, in the form ``rank`` keeps it."""
    return _io(runtime, world).make_shares(_contiguous(value), libspu.Visibility.VIS_PUBLIC)[rank]


def join(runtime: str, messages: Sequence[bytes]) -> dict[str, np.ndarray]:
    """The values behind one message per rank, in rank order; whoever holds all messages learns them."""
    parts = [unframe(message) for message in messages]
    io = _io(runtime, len(messages))
    return {name: io.reconstruct([part[name] for part in parts]) for name in parts[0]}


def frame(shares: Mapping[str, libspu.Share]) -> bytes:
    """One rank's shares of named values as one message."""
    head, body = [], []
    for name, each in shares.items():
        meta, chunks = each.meta, list(each.share_chunks)
        head.append([name, len(meta), [len(chunk) for chunk in chunks]])
        body += [meta, *chunks]
    text = json.dumps(head).encode()
    return b"".join([_HEAD.pack(len(text)), text, *body])


def unframe(message: bytes) -> dict[str, libspu.Share]:
    """The inverse of `frame`.

    Raises:
        ValueError: the message is cut off or has something behind its end.
    """
    (size,) = _HEAD.unpack_from(message)
    at = _HEAD.size + size
    shares = {}
    for name, meta, chunks in json.loads(message[_HEAD.size : at]):
        each = libspu.Share()
        each.meta = message[at : at + meta]
        at += meta
        pieces = []
        for length in chunks:
            pieces.append(message[at : at + length])
            at += length
        each.share_chunks = pieces
        shares[name] = each
    if at != len(message):
        raise ValueError(f"a message of shares has {len(message)} bytes, its head says {at}")
    return shares


_SECRET = libspu.Visibility.VIS_SECRET


@lru_cache(maxsize=8)
def _io(runtime: str, world: int) -> spu.Io:
    config = spu.RuntimeConfig()
    config.ParseFromJsonString(runtime)
    return spu.Io(world, config)


def _contiguous(value: np.ndarray) -> np.ndarray:
    array = np.require(value, requirements="C")
    if array.dtype == np.float64:
        return array.astype(np.float32)  # the ring keeps 18 fraction bits; a JAX program expects single precision
    return array
