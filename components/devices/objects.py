"""Rules and models at rest: per party one `npz` of arrays and one JSON document, no pickle.

An object is public metadata (in the `DistData`, known to all) plus one private part per party: a JSON-able dict and a
dict of numpy arrays, in a single `.npz` file whose entry ``__json__`` holds the document.
"""

import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from secretflow.component.core import Context, ObjectFile, Output, Version
from secretflow.device import PYUObject
from secretflow_spec.v1.data_pb2 import DistData

from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.errors import ComponentError

_JSON = "__json__"


def pack(document: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """One party's part as bytes. Arrays of objects are refused: they would need pickle."""
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise ComponentError(f"array '{name}' holds objects; only numbers and fixed-width strings are stored.")
    sink = io.BytesIO()
    text = np.frombuffer(json.dumps(document, sort_keys=True).encode(), dtype=np.uint8)
    np.savez_compressed(sink, **{_JSON: text, **{name: np.asarray(value) for name, value in arrays.items()}})
    return sink.getvalue()


def unpack(raw: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The inverse of `pack`."""
    with np.load(io.BytesIO(raw), allow_pickle=False) as stored:
        document = json.loads(stored[_JSON].tobytes().decode())
        arrays = {name: stored[name] for name in stored.files if name != _JSON}
    return document, arrays


def write_object(
    ctx: Context,
    output: Output,
    kind: str,
    parts: Mapping[str, PYUObject],
    public: Mapping[str, Any],
    version: tuple[int, int] = (1, 0),
) -> None:
    """Store ``parts`` (each a ``(document, arrays)`` pair at its party) under ``output``.

    Args:
        kind: the DistData type, e.g. ``vf.rule.scale``.
        public: JSON-able metadata that every party may see.
    """
    storage, uri = ctx.storage, output.uri

    def store(part: tuple[Mapping[str, Any], Mapping[str, np.ndarray]]) -> bool:
        with storage.get_writer(uri) as writer:
            writer.write(pack(*part))
        return True

    publish({party: run_on(party, store, part) for party, part in parts.items()})
    refs = [DistData.DataRef(party=party, uri=uri, format="npz") for party in parts]
    file = ObjectFile(name=uri, type=kind, data_refs=refs, version=Version(*version), public_info=dict(public))
    output.data = file.to_distdata()


def read_object(
    ctx: Context, stored: DistData, kind: str, parties: Iterable[str] | None = None
) -> tuple[dict[str, Any], dict[str, PYUObject]]:
    """Public metadata, and per party its ``(document, arrays)`` as a device object at that party."""
    file = ObjectFile.from_distdata(stored)
    if file.type != kind:
        raise ComponentError(f"expected an object of type '{kind}', got '{file.type}'.")
    storage = ctx.storage

    def load(uri: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        with storage.get_reader(uri) as reader:
            return unpack(reader.read())

    wanted = None if parties is None else set(parties)
    refs = [ref for ref in file.data_refs if wanted is None or ref.party in wanted]
    return file.public_info, {ref.party: run_on(ref.party, load, ref.uri) for ref in refs}
