"""Judging and exporting at real parties: who holds which figures afterwards."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from veilflow.pipelines.ledger import Run

pytestmark = pytest.mark.cluster

JUDGE = """
version: 1
name: judge
parties: [hospital, insurer, coordinator]
nodes:
  scores: {{uses: data/read_table, with: {{party: hospital, path: "{path}", id: [person], label: label}}}}
  everybody:
    uses: application/evaluate
    needs: {{scores: scores.table}}
    with: {{threshold: {{fixed: 0.3}}, groups: region}}
  insurer_only:
    uses: application/evaluate
    needs: {{scores: scores.table}}
    with: {{threshold: youden, receivers: [insurer]}}
  taken: {{uses: application/write_table, needs: {{table: scores.table}}, with: {{party: hospital, name: taken}}}}
"""


def scored_rows(folder: Path, positive_share: float = 0.3) -> pd.DataFrame:
    rng = np.random.default_rng(17)
    label = (rng.random(300) < positive_share).astype(int)
    frame = pd.DataFrame(
        {
            "person": [f"p{row}" for row in range(300)],
            "score": np.round(np.clip(rng.normal(0.3 + 0.3 * label, 0.15), 0, 1), 2),
            "region": np.where(rng.random(300) < 0.5, "north", "south"),
            "label": label,
        }
    )
    frame.to_csv(folder / "scores.csv", index=False)
    return frame


@pytest.fixture(scope="module")
def judged(veilflow_cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, pd.DataFrame, Path]:
    """The pipeline above, run once: ledger entry, the rows, output folder."""
    out = tmp_path_factory.mktemp("judged")
    rows = scored_rows(out)
    run = veilflow_cluster.run(JUDGE.format(path=out / "scores.csv"), out)
    assert run.error is None, run.error
    return run, rows, out


def test_published_figures_are_those_of_scikit_learn(judged: tuple[Run, pd.DataFrame, Path]) -> None:
    run, rows, _ = judged
    assert run.metrics["everybody.auc"] == pytest.approx(roc_auc_score(rows.label, rows.score), abs=1e-6)
    assert run.metrics["everybody.accuracy"] == pytest.approx(accuracy_score(rows.label, rows.score >= 0.3), abs=1e-6)
    assert run.metrics["everybody.threshold"] == 0.3
    assert run.metrics["everybody.rows"] == 300
    (node,) = [each for each in run.nodes if each.name == "everybody"]
    assert [tab.name for tab in node.report] == ["metrics", "roc", "calibration", "confusion", "groups"]
    groups = node.tab("groups")
    assert groups is not None
    assert groups.column("group") == ["north", "south"]
    assert groups.column("rows") == rows.groupby("region").size().tolist()


def test_figures_for_one_receiver_are_at_that_receiver_only(judged: tuple[Run, pd.DataFrame, Path]) -> None:
    run, rows, out = judged
    assert {name: value for name, value in run.metrics.items() if name.startswith("insurer_only.")} == {
        "insurer_only.rows": 300
    }
    found = json.loads((out / "insurer" / "exports" / "insurer_only.metrics.json").read_text())
    assert found["metrics"]["auc"] == pytest.approx(roc_auc_score(rows.label, rows.score), abs=1e-12)
    assert not (out / "hospital" / "exports" / "insurer_only.metrics.json").exists()
    assert not (out / "coordinator" / "exports").exists()
    (node,) = [each for each in run.nodes if each.name == "insurer_only"]
    (receipt,) = {json.dumps([each.protection, each.parameters], sort_keys=True) for each in node.receipts}
    assert json.loads(receipt) == [
        "figures_to_receivers_only",
        {"receivers": ["insurer"], "withheld_from": ["hospital", "coordinator"]},
    ]


def test_the_exported_file_holds_the_rows_at_their_owner_only(judged: tuple[Run, pd.DataFrame, Path]) -> None:
    _, rows, out = judged
    taken = pd.read_csv(out / "hospital" / "exports" / "taken.csv")
    pd.testing.assert_frame_equal(taken[list(rows)], rows, check_dtype=False)
    assert [path.parent.parent.name for path in out.rglob("taken.csv")] == ["hospital"]


def test_files_are_written_again_although_their_inputs_are_cached(
    veilflow_cluster: Any, judged: tuple[Run, pd.DataFrame, Path]
) -> None:
    _, _, out = judged
    files = [out / "hospital" / "exports" / "taken.csv", out / "insurer" / "exports" / "insurer_only.metrics.json"]
    before = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    again = veilflow_cluster.run(JUDGE.format(path=out / "scores.csv"), out)
    assert {node.name: node.status for node in again.nodes} == {
        "scores": "cached",
        "everybody": "cached",
        "insurer_only": "ran",
        "taken": "ran",
    }
    assert [file.read_bytes() for file in files] == before


def test_with_chosen_receivers_an_error_does_not_tell_everybody_the_labels(
    veilflow_cluster: Any, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scored_rows(tmp_path, positive_share=1.0)
    pipeline = (
        JUDGE.format(path=tmp_path / "scores.csv")
        .replace("everybody", "early")
        .replace("threshold: {fixed: 0.3}, groups: region", "receivers: [coordinator]")
    )
    run = veilflow_cluster.run(pipeline, tmp_path)
    assert run.error is not None
    assert (run.error.exit_code, run.error.node) == (4, "early")
    assert "label column 'label' holds one class only; the counts are in its holder's log" in run.error.message
    assert "300" not in run.error.message
    logs = {
        party: "".join(log.read_text() for log in tmp_path_factory.getbasetemp().glob(f"veilflow*/{party}/log*.txt"))
        for party in run.parties
    }
    assert {party: "300 positive" in log for party, log in logs.items()} == {
        "hospital": True,
        "insurer": False,
        "coordinator": False,
    }
    assert all(logs.values()), "every party has a log to search"
