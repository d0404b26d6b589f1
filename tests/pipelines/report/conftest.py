"""Runs to render: one that went well, and changes to it. No hypothesis deadline: a busy machine is no failure."""

from typing import Any

import pytest
from hypothesis import settings

from veilflow.pipelines.ledger import Run

settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")

PARTIES = ["hospital", "insurer", "coordinator"]


def table(name: str, **columns: list[Any]) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "table",
        "columns": [{"name": key, "type": type(cells[0]).__name__} for key, cells in columns.items()],
        "rows": [list(row) for row in zip(*columns.values(), strict=True)],
    }


def good_run() -> dict[str, Any]:
    """A ledger entry as a dict, for tests to change."""
    metrics = {"auc": 0.98312, "accuracy": 0.937, "precision": None, "rows": 143}
    report = [
        {"name": "metrics", "kind": "values", "values": metrics},
        table("roc", false_positive_rate=[0.0, 0.1, 1.0], true_positive_rate=[0.0, 0.9, 1.0]),
        table("calibration", mean_score=[0.1, 0.8], positive_rate=[0.05, 0.9], rows=[70, 73]),
        {
            "name": "confusion",
            "kind": "values",
            "values": {"true_positive": 46, "false_positive": 9, "true_negative": 88, "false_negative": 0},
        },
    ]
    history = table("history", epoch=[1, 2, 3], train_loss=[0.7, 0.5, 0.4], validation_loss=[0.8, 0.6, 0.5])
    return {
        "name": "hospital_insurer",
        "status": "ok",
        "mode": "simulation",
        "file": {"path": "configs/demo.yaml", "sha256": "4b1c" * 16, "overrides": ["train.epochs=3"]},
        "versions": {"veilflow": "0.1.0", "python": "3.10.13"},
        "started": "2026-11-23T19:36:10+00:00",
        "seconds": 31.4,
        "parties": list(PARTIES),
        "nodes": [
            {"name": "patients", "component": "data/read_table:1.0.0", "status": "cached", "takes_part": ["hospital"]},
            {"name": "clients", "component": "data/read_table:1.0.0", "status": "ran", "takes_part": ["insurer"]},
            {
                "name": "train",
                "component": "vertical/split_train:1.0.0",
                "status": "ran",
                "seconds": 17.3,
                "bytes_sent": {"hospital": 14_220_113, "insurer": 800},
                "takes_part": list(PARTIES),
                "needs": {"left": ["patients.table"], "right": ["clients.table"]},
                "report": [history],
                "receipts": [
                    {"protection": "gradient_noise", "party": party, "parameters": {"clip": 1.0, "release": "summed"}}
                    for party in ("hospital", "insurer")
                ],
                "discloses": [
                    {"to": ["hospital"], "what": "summed gradients", "about": ["insurer"], "note": "noised"},
                    {"to": ["*"], "what": "loss per epoch", "about": ["hospital", "insurer"]},
                ],
            },
            {
                "name": "evaluate",
                "component": "application/evaluate:1.0.0",
                "status": "ran",
                "seconds": 0.3,
                "takes_part": ["hospital"],
                "needs": {"scores": ["train.scores"]},
                "metrics": metrics,
                "report": report,
                "discloses": [{"to": ["insurer"], "what": "AUC", "about": ["hospital"]}],
            },
        ],
    }


def failed_run() -> dict[str, Any]:
    """The same, stopped in the third step."""
    document = good_run()
    document["status"] = "failed"
    document["error"] = {
        "exit_code": 4,
        "node": "train",
        "party": "insurer",
        "message": "3 of 312 rows hold NaN.\nRun data/clean first.",
        "log": "insurer.log",
    }
    document["nodes"][2]["status"] = "failed"
    document["nodes"][3].update(status="skipped", seconds=0.0, metrics={}, report=[])
    return document


@pytest.fixture
def good() -> Run:
    return Run.model_validate(good_run())


@pytest.fixture
def failed() -> Run:
    return Run.model_validate(failed_run())
