"""Objects as bytes and back, where "back" makes nothing but the few types listed here.

SecretFlow unpickles what peers send behind a filter that a `builtins.exec` walks through. This one admits exact pairs
of module and name (no prefixes, no dotted names: protocol 4 resolves those by attribute look-up), the opcodes that
`encode` writes, and sets state on fresh objects only: a stock unpickler also sets attributes of the classes and
functions that a message names. Arrays travel beside the pickle and are neither copied into it nor out of it.
"""

import functools
import io
import logging
import pickle  # noqa: TID251 - the one place that does, behind an exact allow list
import struct
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from veilflow.components.platforms import array_names
from veilflow.pipelines.party.wire.arrays import reduce_numpy
from veilflow.pipelines.party.wire.errors import WireRefused
from veilflow.pipelines.party.wire.frames import reduce_pandas

log = logging.getLogger("veilflow")

_SHAPES = frozenset(named for named in array_names() if named[1] == "ShapeDtypeStruct")

_STATEFUL: frozenset[tuple[str, str]] = _SHAPES | frozenset(
    {
        ("veilflow.components.devices.pyu", "Failed"),
        ("veilflow.pipelines.party.wire.proxy", "RemoteFailure"),
        # SecretFlow's devices, as SPU and HEU functions of its own components use them
        ("heu.numpy", "CiphertextArray"),
        ("heu.numpy", "StringArray"),
        ("heu.phe", "PublicKey"),
        ("secretflow.device.device.spu", "SPUIOInfo"),
        ("secretflow.device.device.spu", "SPUValueMeta"),
        ("spu.libspu", "Executable"),
        ("spu.libspu", "FieldType"),
        ("spu.libspu", "ProtocolKind"),
        ("spu.libspu", "Share"),
        ("spu.libspu", "Visibility"),
    }
)
"""Types whose instances may be given a state."""

ALLOWED: frozenset[tuple[str, str]] = _STATEFUL | {
    *(("veilflow.pipelines.party.wire.frames", name) for name in ("restore_frame", "restore_series")),
    *(("veilflow.pipelines.party.wire.arrays", f"restore_{what}") for what in ("array", "objects", "scalar", "dtype")),
    *(("pyarrow.lib", name) for name in ("field", "schema", "type_for_alias")),
    *(("numpy", f"{kind}{bits}") for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
    *(("numpy", name) for name in ("float16", "float32", "float64")),
    *(named for named in array_names() if named[0] == "numpy"),
}
"""Everything a message may name. All of it builds values; none of it runs what it is given."""

FILES: frozenset[tuple[str, str]] = ALLOWED | {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    *array_names(),
}
"""What SecretFlow's own files may name, in this party's own folder: numpy wrote its part itself."""

_OPCODES = (
    "PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT SHORT_BINUNICODE "
    "BINUNICODE BINUNICODE8 SHORT_BINBYTES BINBYTES BINBYTES8 BYTEARRAY8 NEXT_BUFFER READONLY_BUFFER EMPTY_TUPLE TUPLE "
    "TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM SETITEMS EMPTY_SET ADDITEMS FROZENSET MEMOIZE "
    "BINGET LONG_BINGET STACK_GLOBAL REDUCE NEWOBJ BUILD"
)

_ALIGN = 64
_HEAD = struct.Struct("<I")
_MAX_BUFFERS = 1 << 16


def encode(value: Any) -> list[memoryview]:
    """``value`` as buffers to be sent one after the other: a directory, the pickle, then each array's bytes.

    Raises:
        WireRefused: ``value`` holds something that cannot travel.
    """
    arrays: list[pickle.PickleBuffer] = []
    try:
        head = io.BytesIO()
        _Plain(head, protocol=5, buffer_callback=arrays.append).dump(value)
        bodies = [head.getbuffer(), *(array.raw() for array in arrays)]
    except (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError, BufferError) as error:
        raise WireRefused(f"a {type(value).__name__} cannot be sent ({type(error).__name__}).") from None
    directory = _HEAD.pack(len(bodies)) + struct.pack(f"<{len(bodies)}Q", *(body.nbytes for body in bodies))
    parts, at = [memoryview(directory)], len(directory)
    for number, body in enumerate(bodies):
        gap = -at % _ALIGN if number else 0  # arrays lie where vectors of numbers like to lie
        parts += [memoryview(bytes(gap)), body] if gap else [body]
        at += gap + body.nbytes
    return parts


def decode(payload: memoryview) -> Any:
    """The inverse of `encode`; arrays are views into ``payload``.

    Raises:
        WireRefused: it is cut off, malformed, or names something that is not allowed.
    """
    bodies = _bodies(payload)
    try:
        return _Strict(io.BytesIO(bodies[0]), buffers=bodies[1:]).load()
    except WireRefused:
        raise
    except Exception as error:  # a malformed pickle raises almost anything
        raise WireRefused(f"a message cannot be read ({type(error).__name__}).") from None


def _bodies(payload: memoryview) -> list[memoryview]:
    total = payload.nbytes
    count = _HEAD.unpack_from(payload)[0] if total >= _HEAD.size else 0
    at = _HEAD.size + 8 * count
    if not 1 <= count <= _MAX_BUFFERS or at > total:
        raise WireRefused("a message's directory is cut off or malformed.")
    bodies = []
    for number, size in enumerate(struct.unpack_from(f"<{count}Q", payload, _HEAD.size)):
        at += -at % _ALIGN if number else 0
        if size > total - at:
            raise WireRefused("a message is shorter than its directory says.")
        bodies.append(payload[at : at + size])
        at += size
    if at != total:
        raise WireRefused("a message is longer than its directory says.")
    return bodies


class _Plain(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        made = reduce_numpy(value)
        return reduce_pandas(value) if made is NotImplemented else made


class _Strict(pickle._Unpickler):
    """The unpickler in Python: its C twin lets a message size its memo table, and no opcode can be taken out of it."""

    def find_class(self, module: str, name: str) -> Any:
        _require_allowed(module, name, ALLOWED)
        return super().find_class(module, name)

    def load_build(self: Any) -> None:
        owner = type(self.stack[-2])
        if (owner.__module__, owner.__qualname__) not in _STATEFUL:
            raise WireRefused("a message sets the state of something that has none.")
        pickle._Unpickler.dispatch[ord(pickle.BUILD)](self)

    def load_bytearray8(self: Any) -> None:
        (size,) = struct.unpack("<Q", self.read(8))
        raw = bytearray(self.read(size))  # the stock one takes the memory first
        if len(raw) != size:
            raise WireRefused("a message is shorter than it says.")
        self.append(raw)

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {  # type: ignore[misc]
        ord(getattr(pickle, name)): pickle._Unpickler.dispatch[ord(getattr(pickle, name))] for name in _OPCODES.split()
    }
    dispatch[ord(pickle.BUILD)] = load_build
    dispatch[ord(pickle.BYTEARRAY8)] = load_bytearray8


class _StrictFiles(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        _require_allowed(module, name, FILES)
        return super().find_class(module, name)


def _require_allowed(module: str, name: str, allowed: frozenset[tuple[str, str]]) -> None:
    if "." in name or (module, name) not in allowed:
        # In this party's own log; the text is a peer's, so no more of it than a name may have.
        log.error("refused to receive the type %.80r of module %.80r", name, module)
        raise WireRefused("a message names a type that is not on the list of what may be received.")


def strict_loads(raw: bytes, **_: Any) -> Any:
    """`pickle.loads` for what SecretFlow itself reads, with the same rule of exact names."""
    return _StrictFiles(io.BytesIO(raw)).load()


def strict_load(file: Any, **_: Any) -> Any:
    """`pickle.load`, likewise."""
    return _StrictFiles(file).load()


@functools.cache
def install() -> None:
    """Make SecretFlow's own unpickling use the list, for messages as for files. Call before anything connects."""
    from secretflow.utils import secure_pickle

    replaced: Iterable[tuple[str, Callable[..., Any]]] = (("loads", strict_loads), ("load", strict_load))
    for name, function in replaced:
        setattr(secure_pickle, name, function)
