import json

from hypothesis import given
from hypothesis import strategies as st

from veilflow.pipelines.party.store import StepRecord, Store, file_digest, step_key, write_atomically

ID = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32
BASE = {
    "component_id": "data/scale:1.0.0",
    "code": "c0de",
    "params": {"method": "standard"},
    "devices": {"spu": ["ABY3", 18]},
    "inputs": {"table": [f"{ID}/train"]},
    "sources": {"rows.csv": "ab12"},
}


def test_what_was_saved_is_loaded(tmp_path):
    store = Store(tmp_path)
    record = StepRecord({"table": b"\x00\xff"}, {"metrics": {"auc": 0.5}})
    store.save("key", ID, record)
    assert store.ids("key") == [ID]
    assert store.load("key", ID) == record


def test_another_key_holds_nothing(tmp_path):
    store = Store(tmp_path)
    store.save("key", ID, StepRecord({}))
    assert store.ids("other") == []


def test_a_half_written_record_does_not_count(tmp_path):
    store = Store(tmp_path)
    store.save("key", ID, StepRecord({}))
    (tmp_path / "index" / "key" / ".partial-abc").write_text('{"outputs"')
    (tmp_path / "index" / "key" / "notes.json").write_text("{}")
    assert store.ids("key") == [ID]


def test_ids_come_oldest_first(tmp_path):
    import os

    store = Store(tmp_path)
    for age, artifact in ((200, OTHER), (100, ID)):
        store.save("key", artifact, StepRecord({}))
        os.utime(tmp_path / "index" / "key" / f"{artifact}.json", (1000 - age, 1000 - age))
    assert store.ids("key") == [OTHER, ID]


@given(field=st.sampled_from(sorted(BASE)))
def test_a_change_of_anything_a_step_depends_on_changes_its_key(field):
    changed = {"component_id": "data/scale:1.1.0", "code": "c0df"}.get(field, {"other": 1})
    assert step_key(**BASE) != step_key(**{**BASE, field: changed})


def test_the_order_of_parameters_does_not_change_the_key():
    params = {"a": 1, "b": 2}
    turned = dict(reversed(params.items()))
    assert step_key(**{**BASE, "params": params}) == step_key(**{**BASE, "params": turned})


def test_a_file_digest_follows_the_bytes(tmp_path):
    file = tmp_path / "rows.csv"
    assert file_digest(file) == "missing"
    file.write_bytes(b"a,b\n1,2\n")
    first = file_digest(file)
    file.write_bytes(b"a,b\n1,3\n")
    assert file_digest(file) != first


def test_writing_leaves_no_partial_file(tmp_path):
    write_atomically(tmp_path / "x.json", json.dumps({"a": 1}))
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
