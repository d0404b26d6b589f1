import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.components.errors import ComponentError
from veilflow.pipelines.party.intact import digests_of, file_digest
from veilflow.pipelines.party.store import StepRecord, Store, step_key

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


@pytest.fixture
def stored(tmp_path):
    """A party's folder with one finished step of two files."""
    folder = tmp_path / "artifacts" / ID
    (folder / "model").mkdir(parents=True)
    (folder / ".node").write_text("align")
    (folder / "table").write_bytes(b"shares" * 1000)
    (folder / "model" / "part").write_bytes(b"part")
    Store(tmp_path).save("key", ID, StepRecord({"table": b"x"}, {"metrics": {"auc": 0.5}}))
    return tmp_path


def _opened(folder):
    store = Store(folder)
    store.load("key", ID)
    return store


def test_files_as_they_were_written_are_read(stored):
    (stored / "artifacts" / ID / ".node").write_text("a note that somebody changed")
    _opened(stored).require_intact("align.table", ID)


@given(at=st.integers(0, 5999), bit=st.integers(0, 7))
def test_one_altered_bit_is_noticed_even_with_the_times_set_back(tmp_path_factory, at, bit):
    folder = tmp_path_factory.mktemp("store")
    file = folder / "artifacts" / ID / "table"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"shares" * 1000)
    writing = Store(folder)
    writing.save("key", ID, StepRecord({}))
    before, raw = file.stat(), bytearray(file.read_bytes())
    raw[at] ^= 1 << bit
    file.write_bytes(raw)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    for store in (writing, _opened(folder)):
        with pytest.raises(ComponentError, match=f"'align.table' cannot be read: artifacts/{ID}/table was altered"):
            store.require_intact("align.table", ID)


@pytest.mark.parametrize("name", ["table", "model/part"])
def test_a_file_that_is_gone_is_named_when_read_and_its_step_does_not_count_as_finished(stored, name):
    store = _opened(stored)
    (stored / "artifacts" / ID / name).unlink()
    with pytest.raises(ComponentError, match=name):
        store.require_intact("align.table", ID)
    assert Store(stored).ids("key") == []


def test_a_file_is_hashed_once_in_a_run(stored, monkeypatch):
    hashed = []

    def counting(path):
        hashed.append(path.name)
        return file_digest(path)

    monkeypatch.setattr("veilflow.pipelines.party.intact.file_digest", counting)
    writing = Store(stored)
    writing.save("key", ID, StepRecord({}))
    assert sorted(hashed) == ["part", "table"]
    writing.require_intact("align.table", ID)
    assert len(hashed) == 2, "what this run wrote is not read again"
    later = _opened(stored)
    later.require_intact("align.table", ID)
    later.require_intact("align.model", ID)
    assert len(hashed) == 4, "what an earlier run wrote is read once"


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: b"",
        lambda raw: b"\xff\xfe" + raw,
        lambda raw: b"[]",
        lambda raw: raw.replace(b"0.5", b"0.6"),
        lambda raw: raw.replace(b'"metrics"', b'"metrocs"'),
    ],
)
def test_a_damaged_or_altered_record_is_named_with_what_to_do(stored, damage):
    path = stored / "index" / "key" / f"{ID}.json"
    path.write_bytes(damage(path.read_bytes()))
    for ask in (lambda: Store(stored).ids("key"), lambda: Store(stored).load("key", ID)):
        with pytest.raises(ComponentError, match=f"the record index/key/{ID}.json .* Remove it and run again"):
            ask()


def test_the_files_of_a_step_are_all_below_its_folder_but_for_the_note(stored):
    assert sorted(digests_of(stored / "artifacts" / ID).digests) == ["model/part", "table"]
