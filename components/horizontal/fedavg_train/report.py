"""What a training says of itself afterwards."""

from collections.abc import Mapping, Sequence
from typing import Any

from veilflow.components.devices.report import ReportBuilder
from veilflow.components.horizontal.fedavg.settings import ModelSpec, Settings
from veilflow.components.horizontal.fedavg_train.training import Cast, FedAvgTraining
from veilflow.components.vertical.split.history import History

NOT_COVERED = "row counts, schema, fitted rules, reference rows and what is read off them, choice of settings, timing"


def write_report(
    output: Any,
    settings: Settings,
    spec: ModelSpec,
    cast: Cast,
    history: History,
    training: FedAvgTraining,
    noises: Sequence[float],
    spent: Mapping[str, float],
) -> None:
    """Tabs: metrics, history, clients, contribution, incidents, budget, model."""
    report = ReportBuilder("fedavg_train", f"Federated averaging of {len(cast.clients)} clients.")
    chosen = history.rows[history.best if settings.patience else -1]
    figures = {name: value for name, value in chosen.items() if name not in ("clients", "update_norm")}
    budget = {"epsilon": max(spent.values())} if spent else {}
    report.values("metrics", {**figures, **budget, "rounds": len(history.rows), "rows": sum(cast.rows.values())})
    columns = history.columns()
    report.table("history", {"round": columns.pop("epoch"), **columns}, "Figures by round.")
    report.table(
        "clients",
        {
            "client": list(cast.clients),
            "rows": [cast.rows[party] for party in cast.clients],
            "weight": [training.standing.weights[party] for party in cast.clients],
        },
        "The weights that the next round would have.",
    )
    log = training.standing.log
    report.table("contribution", {name: [row[name] for row in log] for name in (log[0] if log else {})}, "By round.")
    blamed = training.standing.blamed
    report.table(
        "incidents",
        {
            "round": [number + 1 for number, _, _ in blamed],
            "client": [who for _, who, _ in blamed],
            "why": [why for _, _, why in blamed],
        },
    )
    report.values("budget", _budget(settings, noises, spent))
    shape = {"kind": spec.kind, "layers": "-".join(map(str, spec.layers)) or "none", "parameters": training.parameters}
    report.values("model", {**shape, "stays local": ", ".join(spec.keep_local) or "nothing"})
    report.write(output)


def _budget(settings: Settings, noises: Sequence[float], spent: Mapping[str, float]) -> dict[str, Any]:
    privacy = settings.privacy
    if not spent:
        return {"unit": "none", "epsilon": "unbounded: no noise is added"}
    return {
        "unit": "one row of one client",
        "neighbours": "a row or nothing in its place, row counts public",
        "epsilon": max(spent.values()),
        "epsilon asked": privacy.epsilon,
        "delta": privacy.delta,
        "noise multiplier": min(noises),
        "clip": privacy.clip,
        **{f"epsilon {party}": value for party, value in spent.items()},
        "not covered": NOT_COVERED,
    }
