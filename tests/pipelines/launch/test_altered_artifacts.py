"""What a party stored and somebody altered is noticed before a later step reads it."""

import pytest

pytestmark = pytest.mark.cluster

ALIGN = """
version: 1
name: altered
parties: [hospital, insurer, coordinator]
nodes:
  patients:
    uses: data/read_table
    with: {party: hospital, path: "sample://breast_cancer/hospital", id: [person], label: malignant}
  clients: {uses: data/read_table, with: {party: insurer, path: "sample://breast_cancer/insurer", id: [person]}}
  patients_scaled: {uses: data/scale, needs: {data: patients.table}}
  clients_scaled: {uses: data/scale, needs: {data: clients.table}}
  align: {uses: alignment/anonymous_psi, needs: {tables: [patients_scaled.table, clients_scaled.table]}}
"""
TRAIN = "  train: {uses: vertical/secret_train, needs: {table: align.table}, with: {epochs: 1}}\n"
CLEAN = """
version: 1
name: altered
parties: [hospital, insurer, coordinator]
nodes:
  patients:
    uses: data/read_table
    with: {party: hospital, path: "sample://breast_cancer/hospital", id: [person], label: malignant}
  cleaned: {uses: data/clean, needs: {data: patients.table}}
"""


def _stored(out, party, step):
    (folder,) = [path.parent for path in (out / party / "artifacts").glob("*/.node") if path.read_text() == step]
    return folder


def _flip(path):
    raw = bytearray(path.read_bytes())
    raw[-9] ^= 1
    path.write_bytes(raw)


def test_altered_shares_are_named_and_nothing_is_computed_from_them(veilflow_cluster, tmp_path):
    assert veilflow_cluster.run(ALIGN, tmp_path).status == "ok"
    shares = _stored(tmp_path, "insurer", "align") / "table"
    _flip(shares)
    run = veilflow_cluster.run(ALIGN.rstrip() + "\n" + TRAIN, tmp_path)
    assert (run.status, run.error.party, run.error.node) == ("failed", "insurer", "train")
    assert "'align.table' cannot be read" in run.error.message
    assert f"artifacts/{shares.parent.name}/table was altered" in run.error.message
    assert [node.status for node in run.nodes] == ["cached"] * 5 + ["failed"]


def test_an_altered_table_is_named_and_what_the_message_advises_helps(veilflow_cluster, tmp_path):
    assert veilflow_cluster.run(CLEAN, tmp_path).status == "ok"
    folder = _stored(tmp_path, "hospital", "patients")
    _flip(folder / "table")
    changed = ["cleaned.missing=mean"]
    run = veilflow_cluster.run(CLEAN, tmp_path, changed)
    assert (run.error.party, run.error.node) == ("hospital", "cleaned")
    assert f"Remove artifacts/{folder.name} in this party's folder and run again" in run.error.message
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    run = veilflow_cluster.run(CLEAN, tmp_path, changed)
    assert (run.status, [node.status for node in run.nodes]) == ("ok", ["ran", "ran"])


def test_a_damaged_record_is_named_and_removing_it_helps(veilflow_cluster, tmp_path):
    assert veilflow_cluster.run(CLEAN, tmp_path).status == "ok"
    name = _stored(tmp_path, "hospital", "cleaned").name
    (record,) = (tmp_path / "hospital" / "index").glob(f"*/{name}.json")
    record.write_text(record.read_text()[:40])
    run = veilflow_cluster.run(CLEAN, tmp_path)
    assert (run.error.party, run.error.node) == ("hospital", "cleaned")
    assert f"index/{record.parent.name}/{name}.json in this party's folder is damaged" in run.error.message
    record.unlink()
    run = veilflow_cluster.run(CLEAN, tmp_path)
    assert [node.status for node in run.nodes] == ["cached", "ran"]


@pytest.mark.parametrize("folder", ["artifacts", "index"])
def test_a_file_in_the_place_of_the_stores_folder_is_no_bug(veilflow_cluster, tmp_path, folder):
    (tmp_path / "hospital").mkdir()
    (tmp_path / "hospital" / folder).write_text("")
    run = veilflow_cluster.run(CLEAN, tmp_path)
    assert run.error.party == "hospital"
    assert "remove it, or use another folder" in run.error.message
    assert "internal error" not in run.error.message
