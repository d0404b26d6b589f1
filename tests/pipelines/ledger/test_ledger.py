import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from veilflow.pipelines.ledger import LedgerError, Node, Run, Tab, flat_metrics, metrics_of, read_run, write_run


def run(**changes: Any) -> Run:
    document: dict[str, Any] = {
        "name": "demo",
        "status": "ok",
        "mode": "simulation",
        "file": {"path": "demo.yaml", "sha256": "0" * 64},
        "started": "2026-01-02T03:04:05+00:00",
        "parties": ["hospital", "insurer"],
        "nodes": [
            {"name": "train", "component": "vertical/split_train:1.0.0", "status": "ran", "metrics": {"auc": 0.9}}
        ],
    }
    return Run.model_validate({**document, **changes})


scalars = st.one_of(st.booleans(), st.integers(-(2**63), 2**63), st.floats(), st.text(max_size=8), st.none())


@given(st.dictionaries(st.text(max_size=8), scalars, max_size=5))
def test_what_is_written_is_read_back_with_its_types(tmp_path_factory: pytest.TempPathFactory, values: Any) -> None:
    path = tmp_path_factory.mktemp("run") / "run.json"
    written = run(nodes=[{"name": "a", "component": "b", "status": "ran", "metrics": values}])
    write_run(written, path)
    back = read_run(path)
    assert back == written
    assert [type(value) for value in back.nodes[0].metrics.values()] == [
        type(value) for value in written.nodes[0].metrics.values()
    ]


def test_the_agreed_fields_are_in_the_file(tmp_path: Path) -> None:
    write_run(run(), tmp_path / "run.json")
    document = json.loads((tmp_path / "run.json").read_text())
    top = "version,name,status,mode,party,file,versions,started,seconds,parties,error,nodes,metrics,policies"
    node = "name,component,status,seconds,seconds_by_party,bytes_sent,takes_part,needs,metrics,report,receipts,sent"
    assert ",".join(document) == top
    assert ",".join(document["nodes"][0]) == f"{node},discloses"


def test_undefined_figures_become_null() -> None:
    assert Tab(name="metrics", kind="values", values={"precision": float("nan"), "x": float("inf")}).values == {
        "precision": None,
        "x": None,
    }


def test_a_crash_while_writing_leaves_the_entry_before_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    write_run(run(status="running"), path)

    def crash(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("veilflow.components.files.os.fsync", crash)
    with pytest.raises(OSError, match="disk full"):
        write_run(run(), path)
    assert read_run(path).status == "running"
    assert [each.name for each in tmp_path.iterdir()] == ["run.json"]


def test_a_value_smuggled_in_after_validation_is_not_written(tmp_path: Path) -> None:
    entry = run()
    entry.nodes[0].metrics["rows"] = [1, 2, 3]  # type: ignore[assignment]
    with pytest.raises(ValidationError, match=r"nodes\.0\.metrics\.rows"):
        write_run(entry, tmp_path / "run.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", r"first at the document: Invalid JSON"),
        ("{}", r"first at name: Field required"),
        (json.dumps({**run().model_dump(), "extra": 1}), r"1 problem\(s\), first at extra: Extra inputs"),
        (json.dumps({**run().model_dump(), "version": 2}), r"first at version"),
        (json.dumps({**run().model_dump(), "status": "fine"}), r"first at status"),
    ],
)
def test_a_file_that_is_no_ledger_entry_is_refused_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(LedgerError, match=message):
        read_run(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot be read"):
        read_run(tmp_path / "run.json")


def test_a_row_must_have_a_cell_per_column() -> None:
    with pytest.raises(ValidationError, match="a row has not 2 cells"):
        Tab(name="t", kind="table", columns=[{"name": "a"}, {"name": "b"}], rows=[[1, 2], [3]])  # type: ignore[list-item]


def test_metrics_come_from_the_tabs_of_that_name_only() -> None:
    tabs = [
        Tab(name="metrics", kind="values", values={"auc": 0.9}),
        Tab(name="other", kind="values", values={"rows": 3}),
        Tab(name="metrics", kind="values", values={"f1": 0.5}),
    ]
    assert metrics_of(tabs) == {"auc": 0.9, "f1": 0.5}
    assert flat_metrics([Node(name="e", component="c", status="ran", metrics=metrics_of(tabs))]) == {
        "e.auc": 0.9,
        "e.f1": 0.5,
    }


def test_no_character_that_a_terminal_obeys_is_in_the_file_and_all_come_back(tmp_path: Path) -> None:
    hostile = "\x1b[2J\x9b31m\u202e\u2066\x7f\u2028é✓"
    entry = run(name=hostile)
    write_run(entry, tmp_path / "run.json")
    text = (tmp_path / "run.json").read_text()
    assert not set(text) & set("\x1b\x9b\u202e\u2066\x7f\u2028")
    assert "é✓" in text
    assert read_run(tmp_path / "run.json") == entry
