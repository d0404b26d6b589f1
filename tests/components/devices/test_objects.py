"""Rules and models come back as they went in, each party's part at that party only."""

import numpy as np
import pytest

pytestmark = pytest.mark.cluster


def packs(ctx):
    """`pack` and `unpack` in one process; the facts that the test looks at."""
    from veilflow.components.devices.objects import pack, unpack

    arrays = {
        "file": np.arange(6, dtype=np.int64).reshape(2, 3),
        "layers/0/kernel": np.array([[0.1, np.nan, np.inf]], dtype=np.float32),
        "scalar": np.float64(2.5),
        "empty": np.zeros((0, 3)),
        "names": np.array(["age", "张"], dtype="<U4"),
        "flags": np.array([True, False]),
    }
    document = {"steps": np.int64(3), "rate": np.float32(0.5), "nested": {"a": [1, None, "x"]}, "on": np.bool_(True)}
    raw = pack(document, arrays)
    back, found = unpack(raw)
    same = {name: bool(np.array_equal(found[name], arrays[name], equal_nan=_float(found[name]))) for name in arrays}
    types = {name: [str(found[name].dtype), list(found[name].shape)] for name in found}
    return {"document": back, "same": same, "types": types, "again": pack(document, arrays) == raw}


def _float(array):
    return array.dtype.kind == "f"


def test_documents_and_arrays_come_back_whatever_they_are_called(veilflow_cluster):
    found = veilflow_cluster.call(packs)["hospital"]
    assert found["document"] == {"steps": 3, "rate": 0.5, "nested": {"a": [1, None, "x"]}, "on": True}
    assert all(found["same"].values()), found["same"]
    assert found["types"]["file"] == ["int64", [2, 3]]
    assert found["types"]["layers/0/kernel"] == ["float32", [1, 3]]
    assert found["types"]["scalar"] == ["float64", []]
    assert set(found["types"]) == set(found["same"]), "the document is no array"
    assert found["again"], "the same part gives the same bytes, so that hashes of models mean something"


def refuses(ctx, what):
    import ml_dtypes

    from veilflow.components.devices.objects import pack
    from veilflow.components.errors import ComponentError

    arrays = {
        "objects": {"x": np.array(["a", None], dtype=object)},
        "bfloat16": {"x": np.zeros(2, dtype=ml_dtypes.bfloat16)},
        "reserved": {"__json__": np.zeros(2)},
    }
    try:
        pack({}, arrays[what])
    except ComponentError as refused:
        return str(refused)
    return "stored"


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("objects", "array 'x' of type object cannot be stored"),
        ("bfloat16", "array 'x' of type bfloat16 cannot be stored"),
        ("reserved", "array '__json__' of type float64 cannot be stored"),
    ],
)
def test_arrays_that_would_not_come_back_are_refused(veilflow_cluster, what, message):
    assert veilflow_cluster.call(refuses, what)["hospital"].startswith(message)


def never_unpickles(ctx):
    import io
    import zipfile

    from veilflow.components.devices.objects import pack, unpack

    sink = io.BytesIO()
    np.savez(sink, x=np.array([print], dtype=object))
    with zipfile.ZipFile(sink, "a") as archive:
        archive.writestr("__json__.npy", zipfile.ZipFile(io.BytesIO(pack({}, {}))).read("__json__.npy"))
    try:
        unpack(sink.getvalue())
    except ValueError as refused:
        return str(refused)
    return "unpickled"


def test_a_part_with_pickled_objects_is_not_read(veilflow_cluster):
    assert "allow_pickle=False" in veilflow_cluster.call(never_unpickles)["hospital"]


def stores(ctx):
    """An object of two parties; who can read what of it."""
    from pathlib import Path

    from secretflow.component.core import Output

    from veilflow.components.devices.objects import read_object, write_object
    from veilflow.components.devices.pyu import publish, run_on
    from veilflow.components.errors import ComponentError

    def part(party):
        return {"of": party}, {"x": np.full(3, len(party))}

    output = Output(uri=f"test/{ctx.node}")
    parts = {party: run_on(party, part, party) for party in ("hospital", "insurer")}
    write_object(ctx, output, "vf.test", parts, {"shape": [3], "rate": 0.5})
    public, held = read_object(ctx, output.data, "vf.test")
    seen = publish({party: run_on(party, lambda got: [got[0], got[1]["x"].tolist()], p) for party, p in held.items()})
    _, only = read_object(ctx, output.data, "vf.test", ["insurer"])
    refused = []
    for kind, parties in (("vf.other", None), ("vf.test", ["coordinator", "insurer"])):
        try:
            read_object(ctx, output.data, kind, parties)
        except ComponentError as error:
            refused.append(str(error))
    own = (Path(ctx.data_dir) / output.uri).exists()
    return {"public": public, "seen": seen, "only": list(only), "refused": refused, "own": own}


def test_each_party_stores_its_own_part_and_all_know_the_public_one(veilflow_cluster):
    found = veilflow_cluster.call(stores)
    for party, result in found.items():
        assert result["public"] == {"shape": [3], "rate": 0.5}
        assert result["seen"] == {
            "hospital": [{"of": "hospital"}, [8, 8, 8]],
            "insurer": [{"of": "insurer"}, [7, 7, 7]],
        }
        assert result["only"] == ["insurer"]
        assert result["refused"] == [
            "expected an object of type 'vf.other', got 'vf.test'.",
            "the 'vf.test' has no part for coordinator; it was made for hospital, insurer.",
        ]
        assert result["own"] == (party != "coordinator")
