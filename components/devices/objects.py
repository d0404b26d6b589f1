"""Rules and models at rest: per party one `npz` of arrays and one JSON document, no pickle.

An object is public metadata (in the `DistData`, known to all) plus one private part per party: a JSON-able dict and a
dict of numpy arrays, in a single `.npz` file whose entry ``__json__`` holds the document.
"""

import io
import json
import zipfile
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
    """One party's part as bytes, the same bytes for the same part; `numpy.load` reads them.

    Raises:
        ComponentError: an array of objects, which would need pickle, or of a type that numpy does not know by name
            (bfloat16 comes back as raw bytes).
    """
    for name, array in arrays.items():
        dtype = np.asarray(array).dtype
        if dtype.hasobject or dtype.kind == "V" or name == _JSON:
            raise ComponentError(
                f"array '{name}' of type {dtype} cannot be stored: only numbers and fixed-width strings can."
            )
    text = np.frombuffer(json.dumps(document, sort_keys=True, default=_plain).encode(), dtype=np.uint8)
    sink = io.BytesIO()
    # Not `np.savez`: it takes the arrays as keyword arguments, where one cannot be called `file`.
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in {_JSON: text, **arrays}.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.save(entry, np.asanyarray(value), allow_pickle=False)
    return sink.getvalue()


def _plain(value: Any) -> Any:
    """numpy's scalars as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot stand in a JSON document")


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
        kind: the DistData type, e.g. ``sf.rule.vf_scale``. Kuscia moves only what begins with ``sf.rule`` or
            ``sf.model`` between its steps.
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
    """Public metadata, and per party its ``(document, arrays)`` as a device object at that party.

    Args:
        parties: whose parts are needed; None for all there are.

    Raises:
        ComponentError: the object is of another kind, or has no part for one of ``parties``.
    """
    file = ObjectFile.from_distdata(stored)
    if file.type != kind:
        raise ComponentError(f"expected an object of type '{kind}', got '{file.type}'.")
    held = [ref.party for ref in file.data_refs]
    wanted = held if parties is None else list(parties)
    lacking = [party for party in wanted if party not in held]
    if lacking:
        raise ComponentError(f"the '{kind}' has no part for {', '.join(lacking)}; it was made for {', '.join(held)}.")
    storage = ctx.storage

    def load(uri: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        with storage.get_reader(uri) as reader:
            return unpack(reader.read())

    refs = {ref.party: ref.uri for ref in file.data_refs}
    return file.public_info, {party: run_on(party, load, refs[party]) for party in held if party in wanted}
