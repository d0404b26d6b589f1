"""What surrounds a training: who adds up, each client's budget ledger, and the receipts of what really happened."""

from pathlib import Path
from typing import Any

from veilflow.components.devices.events import receipt
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg.budget import Budget, adaptive, charges, require_rounds, terms
from veilflow.components.horizontal.fedavg.settings import Settings
from veilflow.components.horizontal.fedavg_train.standing import Cast
from veilflow.components.horizontal.fedavg_train.training import FedAvgTraining
from veilflow.components.training.checkpoints import Checkpoints
from veilflow.components.training.history import History


def choose_coordinator(ctx: Any, wanted: Any, clients: tuple[str, ...]) -> str:
    """The party named by ``wanted``, or the first one without a table."""
    named = wanted[0] if isinstance(wanted, list) and wanted else wanted
    if named:
        return str(named)
    free = [party for party in ctx.parties if party not in clients]
    if not free:
        raise ComponentError("every party has a table; name the one that adds up with 'coordinator'.")
    return str(free[0])


def open_budgets(
    ctx: Any,
    settings: Settings,
    cast: Cast,
    noises: list[float],
    digests: dict[str, Any],
    checkpoints: Checkpoints | None,
) -> dict[str, tuple[Any, Any]]:
    """Each client's ledger for these rows, at that client, and what a round costs; empty where nothing is charged.

    Raises:
        ComponentError: a budget does not last for the rounds that are left; says for how many it does.
    """
    folder: Path | None = getattr(ctx, "checkpoint_dir", None)
    found = checkpoints.last_common() if checkpoints else None
    done, budgets = found[0] if found else 0, {}
    for party in cast.clients if noises and folder is not None else ():
        of = charges(settings, cast.rows[party], noises)

        def begin(digest: str, of: Any = of) -> Budget:
            assert folder is not None
            budget = Budget(folder / f"budget-{digest[:16]}.json", terms(settings))
            require_rounds(budget, of, settings, done)
            return budget

        budgets[party] = (run_on(party, begin, digests[party]), of)
    publish({party: run_on(party, lambda held: held.head[0], budget) for party, (budget, _) in budgets.items()})
    return budgets


def used_noises(settings: Settings, planned: list[float], history: History) -> list[float]:
    """The multiplier of every round that was run."""
    return [row["noise"] for row in history.rows] if adaptive(settings) else planned


def write_receipts(
    ctx: Any,
    settings: Settings,
    clients: tuple[str, ...],
    noises: list[float],
    training: FedAvgTraining,
    history: History,
) -> None:
    """What happened at this party, in this attempt."""
    if ctx.self_party not in clients:
        return
    privacy, moved = settings.privacy, [row["clip"] for row in history.rows if "clip" in row]
    followed = {"target": privacy.adaptive_clip, "smallest": min(moved), "largest": max(moved)} if moved else {}
    per_update = followed if privacy.unit == "client" and moved else {"bound": settings.guard.update_norm}
    cut = {"bits": settings.value_bits, "saturated_here": training.saturated}
    receipt(ctx, "update_norm", **per_update, norm="L2, per client and round", **cut)
    if settings.compress.keep < 1:
        receipt(ctx, "common_mask", keep=settings.compress.keep, choose=settings.compress.choose)
    if settings.privacy.unit == "none":
        return
    if settings.privacy.unit == "client":
        if training.noised:
            noise = {"distribution": "discrete Gaussian", "multiplier": min(noises), "vectors": training.noised}
            against = settings.privacy.colluding if settings.privacy.colluding >= 0 else len(clients) - 1
            receipt(ctx, "noise", unit="client", colluding=min(against, len(clients) - 1), **noise)
        return
    tally = training.tally
    receipt(
        ctx,
        "clip",
        **(followed or {"bound": privacy.clip, "used": settings.row_bound}),
        norm="L2, per row",
        rounds=tally.steps,
    )
    if tally.drew(1.0, 1):
        receipt(ctx, "noise", unit="record", distribution="Gaussian", multiplier=min(noises), drawn_here=tally.values)
