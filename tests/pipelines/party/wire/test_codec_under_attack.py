"""What a hostile message can make: plain values, or a refusal. Never a call, never another process state."""

import contextlib
import io
import os
import pickle  # noqa: TID251 - the attacker has it
import struct
import subprocess
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from veilflow.components.devices.pyu import Failed
from veilflow.pipelines.party.wire import arrays, codec, frames
from veilflow.pipelines.party.wire.codec import ALLOWED, FILES, decode, encode, strict_load, strict_loads
from veilflow.pipelines.party.wire.errors import WireRefused

HEAD = pickle.PROTO + b"\x05"


def _message(raw: bytes, *buffers: bytes) -> memoryview:
    """``raw`` as a peer would send it, around the encoder."""
    bodies = [raw, *buffers]
    payload = bytearray(struct.pack(f"<I{len(bodies)}Q", len(bodies), *map(len, bodies)))
    for number, body in enumerate(bodies):
        payload += bytes(-len(payload) % 64 if number else 0) + body
    return memoryview(payload)


def _text(value: str) -> bytes:
    return pickle.SHORT_BINUNICODE + bytes([len(value.encode())]) + value.encode()


def _name(module: str, name: str) -> bytes:
    return _text(module) + _text(name) + pickle.STACK_GLOBAL


def _call(module: str, name: str, *args: object) -> bytes:
    """A message that calls what it names, arguments pickled as they are."""
    parts = b"".join(pickle.dumps(arg, 5)[2:-1] for arg in args)
    return HEAD + _name(module, name) + b"(" + parts + b"t" + pickle.REDUCE + pickle.STOP


@pytest.fixture
def trap(tmp_path):
    """A file that exists once code of a message has run."""
    return tmp_path / "the code ran"


def _exploits(trap) -> dict[str, bytes]:
    shell = f"touch '{trap}'"
    return {
        "builtins.exec": _call("builtins", "exec", f"__import__('pathlib').Path({str(trap)!r}).touch()"),
        "os.system.__call__": _call("os", "system.__call__", shell),
        "subprocess.run": _call("subprocess", "run", ["touch", str(trap)]),
        "dotted name in whitelist mode": _call("secretflow.cli", "os.system", shell),
        "look-alike of an allowed prefix": _call("secretflow_specX", "run", shell),
    }


EXPLOITS = list(_exploits(""))


@pytest.fixture
def look_alike(monkeypatch):
    import sys
    import types

    module = types.ModuleType("secretflow_specX")
    module.run = os.system
    monkeypatch.setitem(sys.modules, "secretflow_specX", module)


@pytest.mark.parametrize("exploit", EXPLOITS)
def test_the_exploits_that_walk_through_secretflows_filter_are_refused(trap, look_alike, exploit):
    raw = _exploits(trap)[exploit]
    for read in (lambda: decode(_message(raw)), lambda: strict_loads(raw), lambda: strict_load(io.BytesIO(raw))):
        with pytest.raises(WireRefused, match="names a type that is not on the list"):
            read()
    assert not trap.exists()


@pytest.mark.parametrize("exploit", EXPLOITS)
def test_these_exploits_are_real(trap, look_alike, exploit):
    """Without our decoder they run: should one stop working, it no longer shows anything."""
    if exploit == "dotted name in whitelist mode":
        pytest.importorskip("secretflow.cli")
    pickle.loads(_exploits(trap)[exploit])  # noqa: S301 - that is the point
    assert trap.exists()


@pytest.mark.parametrize("exploit", EXPLOITS)
def test_secretflows_own_reading_uses_the_list_once_installed(trap, look_alike, exploit, monkeypatch):
    from secretflow.utils import secure_pickle

    for name in ("loads", "load"):
        monkeypatch.setattr(secure_pickle, name, getattr(secure_pickle, name))  # restored after the test
    codec.install.cache_clear()
    codec.install()
    raw = _exploits(trap)[exploit]
    with pytest.raises(WireRefused):
        secure_pickle.loads(raw, filter_type=secure_pickle.FilterType.BLACKLIST)
    assert not trap.exists()


def test_the_name_is_not_even_looked_up(trap):
    """An import runs code, too."""
    with pytest.raises(WireRefused):
        decode(_message(HEAD + _name("antigravity", "webbrowser") + pickle.STOP))
    import sys

    assert "antigravity" not in sys.modules


def test_memory_addresses_cannot_be_smuggled_in_as_objects():
    """numpy's own constructor makes an object array over any eight bytes, and then follows them."""
    with pytest.raises(WireRefused):
        decode(_message(_call("numpy", "ndarray", (1,), "O", b"\0" * 8)))
    for dtype in ("|O", "O", "<O8"):
        with pytest.raises(WireRefused):
            decode(
                _message(_call("veilflow.pipelines.party.wire.arrays", "restore_array", b"\1" * 8, "C", dtype, (1,)))
            )


@pytest.mark.parametrize("text", ["V8", "|V8", "<i4,<i4", "(1000,)<i8", "<U0", "S0", "|O", "i", "x" * 100, 3, "<f8\0"])
def test_only_plain_dtypes_describe_cells(text):
    for name, args in (("restore_array", (b"\0" * 8, "C", text, (1,))), ("restore_scalar", (b"\0" * 8, text))):
        with pytest.raises((ValueError, TypeError)):
            getattr(arrays, name)(*args)


@pytest.mark.parametrize(
    "shape", [(2,), (-1,), (-1, -1), (True,), [1], (1.0,), (1 << 40,), (1 << 62, 4), (2**64,), "1", None, ("1",)]
)
def test_an_array_is_never_larger_than_the_bytes_it_comes_with(shape):
    with pytest.raises((ValueError, TypeError)):
        arrays.restore_array(b"\0" * 8, "C", "<f8", shape)
    with pytest.raises((ValueError, TypeError)):
        arrays.restore_objects(["one"], shape if shape != (True,) else (2,))


def test_no_bytes_are_no_array_of_whatever_lies_in_memory():
    for shape in [(5,), (1 << 20, 3), ()]:
        with pytest.raises(ValueError):
            arrays.restore_array(b"", "C", "<f8", shape)


@pytest.mark.parametrize("order", ["A", "K", "", None])
def test_an_array_has_one_of_two_orders(order):
    with pytest.raises((ValueError, TypeError)):
        arrays.restore_array(b"\0" * 8, order, "<f8", (1,))


@pytest.mark.parametrize("module, name", sorted(ALLOWED))
def test_no_message_changes_a_class_or_a_function(module, name):
    """pickle.BUILD sets attributes of whatever lies on the stack; a stock unpickler would change the class for good."""
    state = pickle.dumps((None, {"error": 5, "__doc__": "changed", "shape": 1}), 5)[2:-1]
    owner = getattr(__import__(module, fromlist=["x"]), name)
    before = {key: getattr(owner, key, None) for key in ("error", "__doc__", "shape")}
    with pytest.raises(WireRefused):
        decode(_message(HEAD + _name(module, name) + state + pickle.BUILD + pickle.STOP))
    assert {key: getattr(owner, key, None) for key in before} == before


@pytest.mark.parametrize("made", [np.zeros(3), np.dtype("f4"), np.float64(1)])
def test_no_message_sets_the_state_of_an_array_or_a_dtype(made):
    """A dtype's state may lay fields outside of its item: then reading a cell reads other memory."""
    raw = pickle.dumps((3, "|", None, ("x",), {"x": (1, 1000)}, 8, 1, 0), 5)[2:-1]
    (head, *_) = codec._bodies(memoryview(bytearray(b"".join(encode(made)))))
    with pytest.raises(WireRefused):
        decode(_message(bytes(head[:-1]) + raw + pickle.BUILD + pickle.STOP, b"\0" * 24))


HOSTILE = st.none() | st.integers() | st.text(max_size=4) | st.binary(max_size=9) | st.floats() | st.booleans()
HOSTILE = st.recursive(HOSTILE, lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner), max_leaves=5)


@given(st.sampled_from(sorted(ALLOWED)), st.lists(HOSTILE, max_size=4), st.sampled_from([pickle.REDUCE, pickle.NEWOBJ]))
def test_calling_anything_on_the_list_with_anything_gives_a_value_or_a_refusal(name, args, opcode):
    parts = b"".join(pickle.dumps(arg, 5)[2:-1] for arg in args)
    with contextlib.suppress(WireRefused):
        decode(_message(HEAD + _name(*name) + b"(" + parts + b"t" + opcode + pickle.STOP))


def test_everything_on_the_list_exists_and_is_known_here():
    """A name that is added comes with a thought: what would a stranger do with it? See the tests above."""
    for module, name in FILES:
        assert hasattr(__import__(module, fromlist=["x"]), name), (module, name)
    assert len(ALLOWED) == 34
    assert not {name for name in ALLOWED if name[0] in ("builtins", "copyreg", "os", "operator", "functools")}
    assert not {name for name in ALLOWED if name[1] in ("ndarray", "dtype", "_reconstruct", "_frombuffer", "scalar")}


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xff" * 12)
def test_random_bytes_are_refused_and_nothing_else(raw):
    with pytest.raises(WireRefused):
        decode(memoryview(bytearray(raw)))


@given(st.binary(max_size=60))
def test_a_random_pickle_gives_a_value_or_a_refusal(raw):
    with contextlib.suppress(WireRefused):
        decode(_message(HEAD + raw))


SAMPLE = {
    "ids": ["p1", "p2"],
    "x": np.arange(6.0).reshape(2, 3),
    "o": np.array(["a", None], object),
    "f": Failed("a", "b"),
}


@given(st.integers(0, 10**6), st.integers(0, 255))
def test_a_changed_byte_gives_a_value_or_a_refusal(at, value):
    payload = bytearray(b"".join(encode(SAMPLE)))
    payload[at % len(payload)] = value
    with contextlib.suppress(WireRefused):
        decode(memoryview(payload))


def test_cut_off_anywhere_it_is_refused():
    payload = b"".join(encode(SAMPLE))
    for end in range(len(payload)):
        with pytest.raises(WireRefused):
            decode(memoryview(bytearray(payload[:end])))
    with pytest.raises(WireRefused, match="longer than its directory"):
        decode(memoryview(bytearray(payload + b"x")))


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + pickle.BYTEARRAY8 + (1 << 33).to_bytes(8, "little") + b"x" + pickle.STOP,
        HEAD + pickle.NONE + pickle.LONG_BINPUT + (2**32 - 1).to_bytes(4, "little") + pickle.STOP,
        HEAD + pickle.BINBYTES8 + (1 << 45).to_bytes(8, "little") + b"x" + pickle.STOP,
        HEAD + pickle.FRAME + (1 << 45).to_bytes(8, "little") + pickle.NONE + pickle.STOP,
    ],
    ids=["bytearray", "memo", "bytes", "frame"],
)
def test_a_message_takes_no_memory_for_what_it_only_announces(raw):
    tracemalloc.start()
    try:
        with contextlib.suppress(WireRefused):
            decode(_message(raw))  # what is there may be taken for all of it
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + pickle.GLOBAL + b"builtins\nlen\n" + pickle.STOP,
        HEAD + b"(" + _text("x") + pickle.INST + b"builtins\nlen\n" + pickle.STOP,
        HEAD + pickle.PERSID + b"1\n" + pickle.STOP,
        HEAD + pickle.EXT1 + b"\1" + pickle.STOP,
        HEAD
        + _name("veilflow.components.devices.pyu", "Failed")
        + pickle.EMPTY_TUPLE
        + b"}"
        + pickle.NEWOBJ_EX
        + pickle.STOP,
        pickle.dumps({"a": [1]}, 0),
    ],
    ids=["GLOBAL", "INST", "PERSID", "EXT1", "NEWOBJ_EX", "protocol 0"],
)
def test_opcodes_that_the_encoder_never_writes_are_refused(raw):
    with pytest.raises(WireRefused):
        decode(_message(raw))


def test_the_encoder_writes_no_other_opcodes():
    import pickletools

    values = [
        SAMPLE,
        [[i] for i in range(300)],
        {"k": 2**70, "b": b"x" * 300, "t": (1, 2, 3, 4)},
        {1},
        frozenset({2}),
        True,
    ]
    heads = [bytes(codec._bodies(memoryview(bytearray(b"".join(encode(value)))))[0]) for value in values]
    used = {opcode.code.encode("latin1") for head in heads for opcode, _, _ in pickletools.genops(head)}
    assert {ord(code) for code in used} <= set(codec._Strict.dispatch)
    assert len(used) > 20


def test_pandas_parts_are_arrays_and_plain_cells_only():
    hostile = [np.array([object()], object), [object()], [[1]], [b"x"], "text", None, np.zeros((2, 2)), {1: 2}]
    for cells in hostile:
        with pytest.raises(ValueError, match="neither an array nor plain values"):
            frames.restore_series(cells, np.arange(1), "x")
        with pytest.raises(ValueError, match="neither an array nor plain values"):
            frames.restore_frame([("x", cells)], np.arange(1))


def test_object_arrays_hold_nothing_that_a_message_could_not_hold_itself(trap):
    class Hostile:
        def __reduce__(self):
            return subprocess.run, (["touch", str(trap)],)

    for value in (np.array([Hostile()], object), [np.array([[Hostile()]], object)]):
        with pytest.raises(WireRefused, match="not on the list"):
            decode(memoryview(bytearray(b"".join(encode(value)))))
    assert not trap.exists()


def test_the_log_of_a_refusal_holds_a_name_of_bounded_length(caplog):
    with pytest.raises(WireRefused) as caught:
        decode(_message(_call("m" * 200, "n" * 200)))
    assert "mmm" not in str(caught.value), "a peer's text goes to nobody else"
    assert len(caplog.records[-1].getMessage()) < 300
