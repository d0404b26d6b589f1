"""The component at real parties: shares of pandas' inner join, receipts, nothing of the IDs anywhere else."""

import inspect
import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.cluster
PARTIES = ("hospital", "insurer", "coordinator")
PIPELINE = """
version: 1
name: anonymous
parties: [hospital, insurer, coordinator]
nodes:
  patients: {uses: data/read_table, with: {party: hospital, path: HOSPITAL, id: [person, born], label: ill}}
  clients: {uses: data/read_table, with: {party: insurer, path: INSURER, id: [client, born_on]}}
  align:
    uses: alignment/anonymous_psi
    needs: {tables: [patients.table, clients.table]}
    with: SETTINGS
"""


def write(tmp_path, patients, clients):
    files = {}
    for name, frame in (("hospital", patients), ("insurer", clients)):
        files[name] = tmp_path / f"{name}.csv"
        frame.to_csv(files[name], index=False)
    return files


def pipeline(files, **settings):
    settings = {"minimum": 0, "duplicates": "first", "normalise": ["strip", "width", "1:phone"], **settings}
    text = inspect.cleandoc(PIPELINE).replace("SETTINGS", json.dumps(settings))
    return text.replace("HOSPITAL", json.dumps(str(files["hospital"]))).replace(
        "INSURER", json.dumps(str(files["insurer"]))
    )


def tables(rng):
    """Phone numbers and years, written in two ways; repeated people, people without an ID, half of them common."""
    numbers = rng.choice(10**8, 300, replace=False)
    phones = [f"138{number:08d}" for number in numbers]
    patients = pd.DataFrame(
        {
            "person": [f"+86 {phone[:3]}-{phone[3:7]}-{phone[7:]}" for phone in phones[:200]],
            "born": 1900 + numbers[:200] % 100,
            "age": rng.integers(1, 90, 200),
            "pressure": rng.normal(120, 10, 200).round(3),
            "ill": rng.integers(0, 2, 200),
        }
    )
    patients.loc[105, "person"] = "not known"  # nothing of it is left by the rule `phone`
    patients = pd.concat([patients, patients.iloc[150:160].assign(age=99)], ignore_index=True)
    clients = pd.DataFrame(
        {
            "client": ["".join(chr(ord(c) + 0xFEE0) for c in phone) for phone in phones[100:]],
            "born_on": 1900 + numbers[100:] % 100,
            "claims": rng.integers(0, 9, 200),
        }
    )
    return patients, clients.sample(frac=1, random_state=1)


def expected(patients, clients):
    """pandas' own join of the same people, 18 fraction bits, in any order."""
    mine = patients[patients["person"] != "not known"].copy()
    mine["key"] = mine["person"].str.replace(r"\D", "", regex=True).str[2:]
    mine = mine.drop_duplicates(["key", "born"])
    yours = clients.copy()
    yours["key"] = ["".join(chr(ord(c) - 0xFEE0) for c in phone) for phone in yours["client"]]
    both = mine.merge(yours, left_on=["key", "born"], right_on=["key", "born_on"])
    return both[["age", "pressure", "ill", "claims"]].to_numpy(float)


def stored(out):
    """Per party its file: the document and the shares."""
    found = {}
    for party in PARTIES:
        (file,) = [path for path in (out / party / "artifacts").glob("*/table") if node_of(path) == "align"]
        with file.open("rb") as source:
            found[party] = json.loads(np.load(source).tobytes()), np.load(source)
    return found


def node_of(path):
    return (path.parent / ".node").read_text()


def opened(out):
    parts = stored(out)
    shares = [parts[party][1] for party in PARTIES]
    for rank in range(3):
        np.testing.assert_array_equal(shares[rank][..., 1], shares[(rank + 1) % 3][..., 0])
    return sum(share[..., 0] for share in shares).view(np.int64) / 2.0**18


def rows(matrix):
    return Counter(map(tuple, np.rint(matrix * 2.0**18).astype(np.int64)))


@pytest.mark.parametrize("hide_count", ["no", "rounded"])
def test_shares_in_files_are_the_inner_join(veilflow_cluster, tmp_path, hide_count):
    patients, clients = tables(np.random.default_rng(3))
    files = write(tmp_path, patients, clients)
    run = veilflow_cluster.run(pipeline(files, hide_count=hide_count), tmp_path / "out")
    assert run.error is None
    table, wanted = opened(tmp_path / "out"), expected(patients, clients)
    assert len(wanted) == 99
    if hide_count == "rounded":
        assert len(table) == 112
        assert "common_people" not in json.dumps(run.model_dump())
        member = table[:, -1]
        assert set(member) == {0.0, 1.0}
        table = table[member == 1][:, :-1]
    assert rows(table) == rows(wanted)
    step = next(step for step in run.nodes if step.name == "align")
    fired = Counter((each.protection, each.party) for each in step.receipts)
    assert {(name, "coordinator") for name in ("key_agreement", "shuffle", "re_mask", "minimum_overlap")} <= set(fired)
    assert {("shuffle", party) for party in PARTIES} <= set(fired)
    assert (("count_padding", "coordinator") in fired) == (hide_count == "rounded")


def test_no_id_and_no_value_is_at_another_party(veilflow_cluster, tmp_path):
    patients, clients = tables(np.random.default_rng(4))
    out = tmp_path / "out"
    assert veilflow_cluster.run(pipeline(write(tmp_path, patients, clients)), out).error is None
    parts = {party: array for party, (_, array) in stored(out).items()}
    for party, array in parts.items():
        words, plain = set(array.reshape(-1).tolist()), expected(patients, clients)
        assert not words & set(np.rint(plain[plain != 0] * 2.0**18).astype(np.uint64).tolist()), party
    everything = {
        party: b"".join(path.read_bytes() for path in (out / party).rglob("*") if path.is_file()) for party in PARTIES
    }
    for phone in patients["person"].str.replace(r"\D", "", regex=True).str[5:].head(40):
        assert phone.encode() not in everything["coordinator"] + everything["insurer"]


def test_a_changed_setting_runs_again_and_gives_another_order(veilflow_cluster, tmp_path):
    files = write(tmp_path, *tables(np.random.default_rng(5)))
    orders = []
    for name, minimum in (("one", 1), ("two", 2)):
        assert veilflow_cluster.run(pipeline(files, minimum=minimum, hide_count="no"), tmp_path / name).error is None
        orders.append(opened(tmp_path / name))
    assert rows(orders[0]) == rows(orders[1])
    assert (orders[0] != orders[1]).any(axis=1).mean() > 0.8


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"minimum": 100, "hide_count": "no"}, "fewer than 100 people are common"),
        ({"duplicates": "error"}, "10 row"),
    ],
)
def test_what_cannot_be_aligned_is_refused_with_a_reason(veilflow_cluster, tmp_path, settings, why):
    files = write(tmp_path, *tables(np.random.default_rng(6)))
    run = veilflow_cluster.run(pipeline(files, **settings), tmp_path / "out")
    assert run.error is not None
    assert why in json.dumps(run.model_dump())
    assert "138" not in run.error.message


def test_features_are_cut_to_the_bound_at_their_holder_and_labels_are_not(veilflow_cluster, tmp_path):
    patients, clients = tables(np.random.default_rng(4))
    files = write(tmp_path, patients, clients)
    run = veilflow_cluster.run(pipeline(files, hide_count="no", bound=0.5), tmp_path)
    assert run.error is None
    shared = opened(tmp_path)
    assert (np.abs(shared) > 0.5).sum() == (shared == 1).sum() > 0  # labels alone
    receipts = {each.party for node in run.nodes for each in node.receipts if each.protection == "value_bound"}
    assert receipts == {"hospital", "insurer"}


@pytest.mark.parametrize(
    "label, message",
    [
        (lambda ill: ill + 1, "label 'ill' is not 0 and 1: 2 distinct value(s)"),
        (lambda ill: 2 * ill - 1, "set label_above: to the lower of its two values"),
        (lambda ill: ill + ill.index % 2, "to the one value that counts as 1"),
        (lambda ill: ill * 0.75, "label 'ill' is not 0 and 1"),
        (lambda ill: ill.map({0: "N", 1: "Y"}), "with types: [ill:bool] where its cells say yes/no, Y/N"),
        (lambda ill: ill * 0 + 1, "label 'ill' holds one class only"),
    ],
    ids=["1/2", "-1/1", "three classes", "shares", "text", "one class"],
)
def test_a_label_that_is_not_0_and_1_ends_the_run_before_anything_is_shared(veilflow_cluster, tmp_path, label, message):
    patients, clients = tables(np.random.default_rng(3))
    files = write(tmp_path, patients.assign(ill=label(patients["ill"])), clients)
    run = veilflow_cluster.run(pipeline(files), tmp_path)
    assert run.error.node == "align"
    assert message in run.error.message
    shared = [each for each in tmp_path.glob("*/artifacts/*/table") if (each.parent / ".node").read_text() == "align"]
    assert shared == []
