"""Planted people and values after a whole run, and after one that fails: only their owner's artifacts may hold them."""

import re
import struct
from pathlib import Path

import numpy as np
import pyarrow.orc as orc
import pytest

from veilflow.pipelines.launch.run import run_here

pytestmark = pytest.mark.cluster
PARTIES = ["hospital", "insurer", "coordinator"]
ROWS = 64
PIPELINE = """\
version: 1
name: canaries
parties: [hospital, insurer, coordinator]
nodes:
  patients:
    uses: data/read_table
    with: {{party: hospital, path: "{hospital}", id: [person], label: ill}}
  clients:
    uses: data/read_table
    with: {{party: insurer, path: "{insurer}", id: [person]}}
  align: {{uses: alignment/psi, needs: {{left: patients.table, right: clients.table}}}}
  train:
    uses: vertical/split_train
    needs: {{table: align.table}}
    with: {{epochs: 1, batch_size: 32}}
"""


def _person(kind: str, number: int) -> str:
    return f"CANARY{kind}{number:03d}X"


def _value(party: str, number: int) -> float:
    return float(f"0.{ {'hospital': 71, 'insurer': 93}[party] }4815{number:03d}77")


def _write(folder: Path, party: str, bad_cell: bool = False) -> Path:
    """ROWS common people and eight of the party's own."""
    people = [_person("COMMON", n) for n in range(ROWS)] + [_person(party.upper(), n) for n in range(8)]
    lines = []
    for number, person in enumerate(people):
        label = f",{number % 2}" if party == "hospital" else ""
        value = f"CANARYCELL{party}" if bad_cell and number % 8 == 5 else f"{_value(party, number):.9f}"
        lines.append(f"{person},{value},{number % 7}{label}")
    file = folder / f"{party}.csv"
    header = f"person,{party}_a,{party}_b" + (",ill" if party == "hospital" else "")
    file.write_text("\n".join([header, *lines, ""]))
    return file


def _planted(party: str) -> dict[str, list[bytes]]:
    """What ``party`` alone knows, in every form in which it could be written down."""
    people = [_person(party.upper(), n).encode() for n in range(8)]
    values = [_value(party, n) for n in range(ROWS)]
    texts = [f"{value:.6f}".encode() for value in values]
    return {
        "people": people,
        "values": [*texts, *(struct.pack(f, value) for value in values for f in ("<d", "<f"))],
        "cell": [f"CANARYCELL{party}".encode()],
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """name -> (ledger entry, output folder, everything that was told to an observer)."""
    found = {}
    for name in ("ok", "failing"):
        folder = tmp_path_factory.mktemp(name)
        data = folder / "data"
        data.mkdir()
        files = {party: _write(data, party, bad_cell=name == "failing") for party in PARTIES[:2]}
        pipeline = folder / "canaries.yaml"
        pipeline.write_text(PIPELINE.format(**files))
        events = []
        run = run_here(pipeline, folder / "out", observer=events.append)
        found[name] = (run, folder / "out", repr(events).encode())
    return found


def _files(folder: Path, *but: str):
    for path in folder.rglob("*"):
        if path.is_file() and not any(part in but for part in path.relative_to(folder).parts[:1]):
            yield path, path.read_bytes() + _table(path)


def _table(path: Path) -> bytes:
    """What is compressed in a table, as text and as numbers."""
    if path.read_bytes()[:3] != b"ORC":
        return b""
    found = orc.ORCFile(str(path)).read().to_pandas()
    return found.to_csv().encode() + found.select_dtypes("number").to_numpy(np.float64).tobytes()


def _hits(content: bytes, planted: dict[str, list[bytes]]) -> list[str]:
    return [f"{kind}: {form!r}" for kind, forms in planted.items() for form in forms if form in content]


def test_one_run_ends_well_and_one_does_not(runs):
    assert runs["ok"][0].status == "ok", runs["ok"][0].error
    assert runs["failing"][0].status == "failed"
    assert runs["failing"][0].error.node in ("clients", "train")


def test_the_search_finds_what_is_there(runs):
    """The owner's own artifacts hold its people and numbers; otherwise the other tests would show nothing."""
    for party in PARTIES[:2]:
        own = b"".join(content for _, content in _files(runs["ok"][1] / party / "artifacts"))
        kinds = {hit.split(":")[0] for hit in _hits(own, _planted(party))}
        assert kinds == {"people", "values"}


@pytest.mark.parametrize("name", ["ok", "failing"])
@pytest.mark.parametrize("owner", PARTIES[:2])
def test_no_other_party_has_them_in_any_file(runs, name, owner):
    for party in set(PARTIES) - {owner}:
        for path, content in _files(runs[name][1] / party):
            assert _hits(content, _planted(owner)) == [], path


@pytest.mark.parametrize("name", ["ok", "failing"])
@pytest.mark.parametrize("owner", PARTIES[:2])
def test_the_owner_has_them_in_its_artifacts_only(runs, name, owner):
    """Not in its log, transcript, index, ledger or temporary files."""
    seen = set()
    for path, content in _files(runs[name][1] / owner, "artifacts", "exports"):
        seen.add(path.name)
        assert _hits(content, _planted(owner)) == [], path
    assert {"log.txt", "transcript.jsonl"} <= seen


@pytest.mark.parametrize("name", ["ok", "failing"])
def test_ledger_report_and_events_hold_none(runs, name):
    run, out, events = runs[name]
    seen = set()
    for path in out.glob("*.*"):
        seen.add(path.name)
        for owner in PARTIES[:2]:
            assert _hits(path.read_bytes(), _planted(owner)) == [], path
        assert not re.search(rb"CANARY[A-Z]+\d", path.read_bytes()), path
    assert seen == {"run.json", "report.html"}
    for owner in PARTIES[:2]:
        assert _hits(events + repr(run).encode(), _planted(owner)) == []


@pytest.mark.parametrize("name", ["ok", "failing"])
@pytest.mark.parametrize("party", PARTIES)
def test_nobody_s_log_or_transcript_names_a_person_in_common(runs, name, party):
    out = runs[name][1]
    for path, content in _files(out / party, "artifacts"):
        assert b"CANARYCOMMON" not in content, path
    assert not any((out / party / "tmp").glob("*")), "temporary files are gone"


def test_the_coordinator_stores_nothing_of_anybody(runs):
    for _, content in _files(runs["ok"][1] / "coordinator"):
        assert b"CANARY" not in content
        assert np.float64(_value("hospital", 0)).tobytes() not in content


HEADERLESS = """\
version: 1
name: headerless
parties: [hospital, insurer]
nodes:
  patients: {{uses: data/read_table, with: {{party: hospital, path: "{file}"{more}}}}}
"""


@pytest.mark.parametrize("more", ["", ", id: [person], label: ill"])
def test_the_first_row_of_a_file_without_a_header_line_is_in_its_owners_log_only(tmp_path, more):
    rows = [f"CANARYFIRST{number:05d},{number}.5,CANARYTOWN,{number % 2}" for number in range(1, 20)]
    (tmp_path / "t.csv").write_text("\n".join([*rows, ""]))
    pipeline = tmp_path / "headerless.yaml"
    pipeline.write_text(HEADERLESS.format(file=tmp_path / "t.csv", more=more))
    events = []
    run = run_here(pipeline, tmp_path / "out", observer=events.append)
    assert run.status == "failed"
    assert "is there no header line?" in run.error.message
    assert b"CANARYFIRST" in (tmp_path / "out" / "hospital" / "log.txt").read_bytes(), "its operator finds it"
    assert "CANARY" not in repr(events) + repr(run)
    for path, content in _files(tmp_path / "out", "hospital"):
        assert b"CANARY" not in content, path
