"""What a training says of itself afterwards."""

from collections.abc import Mapping, Sequence
from typing import Any

from veilflow.components.devices.report import ReportBuilder
from veilflow.components.horizontal.fedavg.budget import adaptive
from veilflow.components.horizontal.fedavg.settings import ModelSpec, Settings
from veilflow.components.horizontal.fedavg_train.standing import Cast
from veilflow.components.horizontal.fedavg_train.training import FedAvgTraining
from veilflow.components.privacy.ledger import UNITS
from veilflow.components.training.history import History

_KEPT = ("round_maximum", "round_of_maximum", "rounds", "epsilon_rdp")
NOT_COVERED = (
    "row counts, schema, fitted rules, reference rows and what is read off them, choice of settings, timing, a person "
    "with several rows or at several clients (epsilon grows with their number), rows without an ID whose values changed"
)


def write_report(
    output: Any,
    settings: Settings,
    spec: ModelSpec,
    cast: Cast,
    history: History,
    training: FedAvgTraining,
    noises: Sequence[float],
    ledgers: Mapping[str, Mapping[str, Any]],
    estimate: Mapping[str, float],
) -> None:
    """Tabs: metrics, history, clients, contribution, incidents, budget, model."""
    report = ReportBuilder("fedavg_train", f"Federated averaging of {len(cast.clients)} clients.")
    chosen = history.rows[history.best if settings.patience else -1]
    figures = {name: value for name, value in chosen.items() if name not in ("clients", "update_norm", "noise", "clip")}
    spent = {party: float(found["epsilon"]) for party, found in ledgers.items()} or dict(estimate)
    budget = {"epsilon": max(spent.values())} if spent else {}
    report.values("metrics", {**figures, **budget, "rounds": len(history.rows), "rows": sum(cast.rows.values())})
    columns = history.columns()
    numbers, present = columns.pop("epoch"), [int(count) for count in columns.pop("clients")]
    # A column that says in every round that everybody was there says nothing.
    partly = {} if set(present) == {len(cast.clients)} else {"clients": present}
    report.table("history", {"round": numbers, **partly, **columns}, "Figures by round.")
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
    scored: dict[str, list[Any]] = {name: [row[name] for row in log] for name in (log[0] if log else {})}
    if scored:
        scored["round"] = [int(number) for number in scored["round"]]
    report.table("contribution", scored, "By round.")
    blamed = training.standing.blamed
    report.table(
        "incidents",
        {
            "round": [number + 1 for number, _, _ in blamed],
            "client": [who for _, who, _ in blamed],
            "why": [why for _, _, why in blamed],
        },
    )
    report.values("budget", _budget(settings, noises, spent, ledgers) | _ended(settings, history))
    shape: dict[str, Any] = {
        "kind": spec.kind,
        "layers": "-".join(map(str, spec.layers)) or "none",
        "parameters": training.parameters,
    }
    report.values("model", {**shape, "stays local": ", ".join(spec.keep_local) or "nothing"})
    report.write(output)


def _budget(
    settings: Settings, noises: Sequence[float], spent: Mapping[str, float], ledgers: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    privacy = settings.privacy
    if not spent:
        return {"unit": "none", "epsilon": "unbounded: no noise is added"}
    worst = max(spent, key=lambda party: spent[party])
    kept = {f"{key.replace('_', ' ')}": ledgers[worst][key] for key in _KEPT} if worst in ledgers else {}
    return {
        "unit": privacy.unit,
        "neighbours": UNITS[privacy.unit],
        "epsilon": max(spent.values()),
        "epsilon asked": privacy.epsilon,
        "delta": privacy.delta,
        "noise multiplier": min(noises),
        **({"largest noise multiplier": max(noises)} if max(noises) > min(noises) else {}),
        "clip": privacy.clip if privacy.unit == "record" else settings.guard.update_norm,
        **({"clip follows the quantile": privacy.adaptive_clip} if privacy.voting else {}),
        **kept,
        **{f"epsilon {party}": value for party, value in spent.items()},
        "not covered": NOT_COVERED,
    }


def _ended(settings: Settings, history: History) -> dict[str, str]:
    """Said where an adaptive schedule spent the budget before the last round."""
    done = len(history.rows)
    if not adaptive(settings) or done == settings.rounds or history.exhausted(settings.patience):
        return {}
    return {"ended": f"after {done} of {settings.rounds} rounds: the budget did not last for another"}
