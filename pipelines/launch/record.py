"""Collects the events of a run into the run's ledger entry (`run.json`)."""

import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from veilflow.pipelines.launch.processes import Event, PartyFailed
from veilflow.pipelines.ledger import Run
from veilflow.pipelines.party.versions import versions
from veilflow.pipelines.plan import Plan
from veilflow.pipelines.policy import Verdict, digest_of, refusal

FAILED_EXIT = 4
REFUSED_EXIT = 5


class RunRecorder:
    """Grows a ledger entry from events; `run` gives it at any moment, finished or not."""

    def __init__(
        self,
        plan: Plan,
        file: Path,
        overrides: Sequence[str],
        party: str | None,
        verdicts: Sequence[Verdict] = (),
    ) -> None:
        self._plan = plan
        self._file = file
        self._overrides = list(overrides)
        self._party = party
        self._verdicts = tuple(verdicts)
        self._started = datetime.now(timezone.utc)
        self._clock = time.monotonic()
        self._said: dict[str, dict[str, dict[str, Any]]] = {}

    def on_event(self, event: Event) -> None:
        if event.kind == "node_done":
            self._said.setdefault(event.body["node"], {})[event.party] = event.body

    def run(self, failure: PartyFailed | None = None, done: bool = True) -> Run:
        """The ledger entry as of now."""
        error = None
        if failure is not None:
            error = {
                "exit_code": FAILED_EXIT,
                "node": failure.node or None,
                "party": failure.party,
                "message": failure.message,
                "log": Path(failure.log).name,
            }
        return self._entry("failed" if failure else ("ok" if done else "running"), error, failure)

    def refused(self) -> Run:
        """The ledger entry of a run that policies did not let start."""
        return self._entry("refused", {"exit_code": REFUSED_EXIT, "message": refusal(self._verdicts)}, None)

    def _entry(self, status: str, error: dict[str, Any] | None, failure: PartyFailed | None) -> Run:
        pipeline = self._plan.pipeline
        nodes = [self._node(step, failure) for step in self._plan.steps]
        metrics = {f"{node['name']}.{name}": value for node in nodes for name, value in node["metrics"].items()}
        return Run.model_validate(
            {
                "version": 1,
                "name": pipeline.name,
                "status": status,
                "mode": "party" if self._party else "simulation",
                "party": self._party,
                "file": {"path": str(self._file), "sha256": pipeline.sha256, "overrides": self._overrides},
                "versions": versions(),
                "started": self._started.isoformat(timespec="seconds"),
                "seconds": round(time.monotonic() - self._clock, 3),
                "parties": list(pipeline.parties),
                "error": error,
                "nodes": nodes,
                "metrics": metrics,
                "policies": [_policy(verdict) for verdict in self._verdicts],
            }
        )

    def _node(self, step: Any, failure: PartyFailed | None) -> dict[str, Any]:
        said = self._said.get(step.name, {})
        first = next(iter(said.values()), {})
        if said:
            status = first["status"]
        elif failure is not None and failure.node == step.name:
            status = "failed"
        else:
            status = "skipped"
        return {
            "name": step.name,
            "component": step.component_id,
            "status": status,
            "seconds": round(max((body["seconds"] for body in said.values()), default=0.0), 3),
            "seconds_by_party": {party: round(body["seconds"], 3) for party, body in said.items()},
            "bytes_sent": {party: body["bytes_sent"] for party, body in said.items()},
            "takes_part": list(step.takes_part),
            "needs": {name: list(refs) for name, refs in step.needs.items()},
            "metrics": first.get("metrics", {}),
            "report": first.get("report", []),
            "receipts": [receipt for body in said.values() for receipt in body.get("receipts", [])],
            "sent": [{"sender": party, **line} for party, body in said.items() for line in body.get("sent", [])],
            "discloses": [
                {
                    "to": list(line.to),
                    "what": line.what,
                    "about": list(line.about),
                    "note": line.note,
                    "kind": line.kind,
                }
                for line in step.discloses
            ],
        }


def _policy(verdict: Verdict) -> dict[str, Any]:
    return {
        "name": verdict.policy.name,
        "sha256": digest_of(verdict.policy),
        "path": verdict.loaded.file,
        "verdict": "refused" if verdict.refused else "allowed",
        "private": verdict.loaded.private,
        "description": " ".join(verdict.policy.description.split()),
        "objections": [
            {
                "step": finding.step,
                "rule": finding.rule,
                "what": finding.what,
                "reason": finding.reason,
                "kind": finding.disclosure.kind if finding.disclosure else "",
                "to": list(finding.to),
                "about": list(finding.about),
            }
            for finding in verdict.findings
        ],
    }
