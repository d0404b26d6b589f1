"""Walk a plan at one party: agree, skip or evaluate, store, report.

All parties walk the same plan in the same order and take every decision together; a step is done when it is done at
every party.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from secretflow_spec import Registry
from secretflow_spec.v1.data_pb2 import DistData

from veilflow.components.devices.early import Reading
from veilflow.components.errors import ComponentError
from veilflow.pipelines.party.agree import common_artifact, draw_id, gather, require_equal
from veilflow.pipelines.party.context import RunContext
from veilflow.pipelines.party.early import Early
from veilflow.pipelines.party.intact import LABEL, file_digest
from veilflow.pipelines.party.params import NOTHING, node_eval_param
from veilflow.pipelines.party.receipts import lacking
from veilflow.pipelines.party.report_tabs import tabs_from_report
from veilflow.pipelines.party.session import Party
from veilflow.pipelines.party.store import StepRecord, Store, step_key
from veilflow.pipelines.plan import Plan, Step

Wired = dict[str, tuple[str, DistData]]
"""``step.output`` -> where it lies in the store, and what describes it."""


def run_plan(party: Party, plan: Plan, facts: dict[str, str], code: str, use_cache: bool = True) -> None:
    """Evaluate every step of ``plan`` at this party.

    Args:
        party: this party's side of the connected cluster.
        plan: the checked plan; the same at every party.
        facts: what must be equal at all parties (hash of the pipeline file, versions), by name.
        code: `store.code_digest` of what runs here.
        use_cache: whether finished steps with equal keys are skipped.

    Raises:
        AgreementError: the parties' facts differ.
        Exception: whatever a step raised; `failure.describe` turns it into words.
    """
    party.wire.gate.open({step.name: step.sends for step in plan.steps})
    party.wire.transcript.forget()
    party.wire.step = ""
    require_equal(party.setup.parties, facts, "runs")
    store = Store(party.setup.folder)
    wired: Wired = {}

    def key_of(step: Step) -> str:
        return _key(party, step, wired, code)

    def begin(step: Step, key: str) -> Callable[[], Any] | None:
        if use_cache and step.cacheable and _held(party, store, key, step):
            return None
        made = _made(party, step, wired, "early")
        return made.reading(party.context(step.name)) if isinstance(made, Reading) else None

    early = Early(party.setup.party, plan, key_of, begin)
    for step in plan.steps:
        party.emit("node_started", {"node": step.name})
        party.wire.step = step.name
        started, sent = time.monotonic(), party.traffic.total()
        key = early.key(step.name) or key_of(step)
        # A party without a cache says so by holding nothing: the decision stays a common one.
        held = _held(party, store, key, step) if use_cache and step.cacheable else []
        artifact = common_artifact(party.setup.parties, held)
        cached = artifact is not None
        if artifact is None:
            for ref in filter(None, step.input_refs()):
                store.require_intact(ref, wired[ref][0].split("/")[0])
            artifact = draw_id(party.setup.parties)
            record = _evaluate(party, step, wired, artifact, early)
            record.summary["seconds"] = time.monotonic() - started
            record.summary["bytes_sent"] = party.traffic.total() - sent
            store.save(key, artifact, record)
        record = store.load(key, artifact)
        for name, raw in record.outputs.items():
            wired[f"{step.name}.{name}"] = (f"{artifact}/{name}", DistData.FromString(raw))
        seconds = time.monotonic() - started
        crossed = [] if cached else party.wire.transcript.totals(step.name)
        summary = {**record.summary, "seconds": seconds, "bytes_sent": party.traffic.total() - sent}
        status = "cached" if cached else "ran"
        party.emit("node_done", {"node": step.name, "status": status, "sent": crossed, **summary})
    party.wire.transcript.flush()


def _made(party: Party, step: Step, wired: Wired, artifact: str) -> Any:
    """The step's component, with its parameters, inputs and the addresses of its outputs."""
    definition = Registry.get_definition_by_id(step.component_id)
    if definition is None:
        raise ComponentError(f"component '{step.component_id}' is not installed at {party.setup.party}.")
    inputs = [NOTHING if ref is None else wired[ref][1] for ref in step.input_refs()]
    uris = [f"artifacts/{artifact}/{name}" for name in step.output_names]
    param = node_eval_param(step.component_id, step.given, inputs, uris)
    return definition.make_component(definition.parse_param(param))


def _evaluate(party: Party, step: Step, wired: Wired, artifact: str, early: Early) -> StepRecord:
    component, context = _made(party, step, wired, artifact), party.context(step.name, step.device)
    context.early = early.take(step.name)
    folder = party.setup.folder / "artifacts" / artifact
    _label(folder, step.name)
    component.evaluate(context)
    outputs = {name: getattr(component, name).data for name in step.output_names}
    _require_complete(party, step, outputs, context.receipts, folder)
    return StepRecord(
        {name: data.SerializeToString(deterministic=True) for name, data in outputs.items()},
        _summary(outputs, context),
    )


def _label(folder: Path, node: str) -> None:
    """A person (or a test) who looks into the artifacts finds the step's name next to its files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LABEL).write_text(node, encoding="utf-8")


def _held(party: Party, store: Store, key: str, step: Step) -> list[str]:
    """Finished steps with this key; one whose record lacks a receipt does not count as finished."""

    def attested(artifact: str) -> bool:
        receipts = store.load(key, artifact).summary.get("receipts", [])
        return not lacking(step.protections, receipts, party.setup.party)

    return [artifact for artifact in store.ids(key) if attested(artifact)]


def _require_complete(
    party: Party, step: Step, outputs: dict[str, DistData | None], receipts: list[dict[str, Any]], folder: Path
) -> None:
    """Every party got every output and wrote every receipt; nobody goes on before all have arrived here.

    Each party checks its own receipts. All do, and hear of each other, so one that lacks a receipt stops them all.
    """
    missing = [name for name, data in outputs.items() if data is None]
    unproven = lacking(step.protections, receipts, party.setup.party)
    held = gather(party.setup.parties, {"outputs": missing, "receipts": unproven})
    without = [name for name, found in held.items() if found["outputs"]]
    if without:
        raise ComponentError(f"step '{step.name}' ended without output(s) at {', '.join(without)}.")
    failing = [name for name, found in held.items() if found["receipts"]]
    if failing:
        shutil.rmtree(folder, ignore_errors=True)
        gather(party.setup.parties, True)  # whoever raises first ends the others: not before all have cleared up
        said = "; ".join(problem for name in failing for problem in held[name]["receipts"])
        error = ComponentError(f"step '{step.name}': {said}; nothing of this step is kept.")
        error.party = failing[0]
        raise error


def _summary(outputs: dict[str, DistData], context: RunContext) -> dict[str, Any]:
    tabs: list[dict[str, Any]] = []
    for data in outputs.values():
        if data.type == "sf.report":
            tabs += tabs_from_report(data)
    metrics: dict[str, Any] = {}
    for tab in tabs:
        if tab["kind"] == "values" and tab["name"] == "metrics":
            metrics.update(tab["values"])
    return {"report": tabs, "metrics": metrics, "receipts": context.receipts}


def _key(party: Party, step: Step, wired: Wired, code: str) -> str:
    setup = party.setup
    devices = {name: [d.parties, d.protocol, d.field, d.fxp_fraction_bits] for name, d in setup.devices.items()}
    inputs = {name: [wired[ref][0] for ref in refs] for name, refs in step.needs.items()}
    sources = {
        address: "" if "://" in address else file_digest((setup.data_root or Path.cwd()) / address)
        for at, address in step.reads
        if at == setup.party
    }
    return step_key(step.component_id, code, step.params, {**devices, "use": step.device}, inputs, sources)
