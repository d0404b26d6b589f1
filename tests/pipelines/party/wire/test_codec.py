"""Objects as bytes and back: what components send arrives as it was, arrays without a copy."""

import datetime

import jax
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from secretflow.device.device.spu import SPUIOInfo, SPUValueMeta
from spu import libspu

from veilflow.components.devices.pyu import Failed
from veilflow.pipelines.party.wire.codec import decode, encode
from veilflow.pipelines.party.wire.errors import WireRefused
from veilflow.pipelines.party.wire.proxy import RemoteFailure


def _sent(value):
    return memoryview(bytearray(b"".join(encode(value))))


def _there_and_back(value):
    return decode(_sent(value))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=6,
)
DTYPES = nps.boolean_dtypes() | nps.integer_dtypes() | nps.unsigned_integer_dtypes() | nps.floating_dtypes()
ARRAYS = nps.arrays(
    DTYPES | nps.complex_number_dtypes() | nps.unicode_string_dtypes() | nps.datetime64_dtypes(),
    nps.array_shapes(min_dims=0, min_side=0),
)


@given(PLAIN)
def test_documents_arrive_as_they_were(value):
    assert _there_and_back(value) == value


@given(ARRAYS)
def test_arrays_arrive_as_they_were_and_can_be_written_to(array):
    found = _there_and_back(array)
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert found.flags.writeable


@given(nps.arrays(np.float32, nps.array_shapes(min_dims=2, max_dims=3)), st.data())
def test_views_arrive_as_they_look(array, data):
    view = data.draw(st.sampled_from([array.T, np.asfortranarray(array), array[::2], array[:, ::-1], array[..., :1]]))
    np.testing.assert_array_equal(_there_and_back(view), view)


def test_fortran_order_is_kept_without_a_copy():
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    parts = encode(array)
    assert any(np.shares_memory(np.frombuffer(part, np.uint8), array) for part in parts if part.nbytes == array.nbytes)
    assert decode(_sent(array)).flags.f_contiguous


def test_arrays_are_neither_copied_in_nor_out_and_start_at_whole_cache_lines():
    one, two = np.arange(1000, dtype=np.float64), np.arange(7, dtype=np.int16)
    parts = encode({"one": one, "two": two})
    for array in (one, two):
        assert any(np.shares_memory(np.frombuffer(p, np.uint8), array) for p in parts if p.nbytes == array.nbytes)
    payload = _sent({"one": one, "two": two})
    start = np.frombuffer(payload, np.uint8).__array_interface__["data"][0]
    for found in decode(payload).values():
        assert np.shares_memory(found, np.frombuffer(payload, np.uint8))
        assert (found.__array_interface__["data"][0] - start) % 64 == 0


@pytest.mark.parametrize(
    "value",
    [
        np.float32(1.5), np.float64(-0.0), np.int8(-3), np.uint64(2**64 - 1), np.bool_(True), np.str_("ä"),
        np.datetime64("2020-02-29"), np.dtype("<f4"), np.dtype("<U7"), np.dtype(object), np.float16, np.int32,
        bytearray(b"x"), {1, 2}, frozenset({"a"}), 10**400, "\ud800", float("inf"),
    ],
    ids=repr,
)  # fmt: skip
def test_other_values_arrive_as_they_were(value):
    found = _there_and_back(value)
    assert type(found) is type(value)
    assert found == value


def test_object_arrays_arrive_cell_by_cell():
    array = np.array([["a", None], [1, 2.5]], dtype=object)
    found = _there_and_back(array)
    assert found.tolist() == array.tolist()
    assert found.dtype == object


FRAME = pd.DataFrame(
    {
        "n": [1, 2, 3],
        "x": [0.5, np.nan, -1.0],
        "s": ["ä", "", None],
        "b": [True, False, True],
        7: np.array([1, 2, 3], np.uint8),
    },
    index=["p", "q", "r"],
)


def test_frames_and_series_arrive_as_they_were():
    found = _there_and_back({"frame": FRAME, "column": FRAME["x"], "empty": FRAME.iloc[:0], "none": pd.DataFrame()})
    pd.testing.assert_frame_equal(found["frame"], FRAME)
    pd.testing.assert_series_equal(found["column"], FRAME["x"])
    assert list(found["empty"].columns) == list(FRAME.columns)
    assert found["none"].empty


def test_devices_and_failures_arrive_as_they_were():
    meta = SPUValueMeta((2, 3), np.dtype("f4"), *_enums(), 18)
    for value in (meta, SPUIOInfo(["a"], [meta], None), jax.ShapeDtypeStruct((2,), np.dtype("f4")), *_enums()):
        assert _there_and_back(value) == value
    schema = pa.schema([pa.field("a", pa.int64()), pa.field("b", pa.string())])
    assert _there_and_back(schema).equals(schema)
    assert type(_there_and_back(libspu.Share())) is libspu.Share
    executable = libspu.Executable()
    executable.ParseFromString(b"")
    assert _there_and_back(executable).SerializeToString() == executable.SerializeToString()
    for failure in (Failed("bob", "3 rows"), Failed("bob", "", "1f"), RemoteFailure("bob", "1f")):
        assert _there_and_back(failure) == failure


def _enums():
    return libspu.Visibility.VIS_SECRET, libspu.ProtocolKind.ABY3, libspu.FieldType.FM64


class Own:
    pass


@pytest.mark.parametrize(
    "value",
    [lambda: 1, np.zeros(2, [("a", "i4")]), np.void(b"x"), np.dtype([("a", "i4")]), open(__file__)],  # noqa: SIM115
    ids=["function", "record array", "void", "record dtype", "file"],
)
def test_what_cannot_travel_is_refused_at_the_sender(value):
    with pytest.raises(WireRefused, match="cannot be sent"):
        encode(value)


@pytest.mark.parametrize(
    "value", [Own(), Own, datetime.date(2020, 1, 1), len, ValueError("SECRET-4711"), pd.Index([1])]
)
def test_what_no_message_may_name_is_refused_at_the_receiver(value):
    with pytest.raises(WireRefused, match="a type that is not on the list") as caught:
        decode(_sent(value))
    assert "SECRET" not in str(caught.value)
