"""What surrounds a training: who adds up, each client's budget ledger, and the receipts of what really happened."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from veilflow.components.devices.events import receipt
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg.budget import (
    Budget,
    ChargesOf,
    adaptive,
    charges,
    multipliers,
    require_rounds,
    stretched,
    terms,
)
from veilflow.components.horizontal.fedavg.settings import Settings
from veilflow.components.horizontal.fedavg_train.sources import Source, people_of
from veilflow.components.horizontal.fedavg_train.standing import Cast
from veilflow.components.horizontal.fedavg_train.training import FedAvgTraining
from veilflow.components.privacy.ledger_folder import FOLDER, LedgerFolder, Statement
from veilflow.components.privacy.people import People
from veilflow.components.privacy.schedule import round_up
from veilflow.components.training.checkpoints import Checkpoints
from veilflow.components.training.history import History


class Ledgers:
    """Every client's ledger for its people, at that client; false where there are none.

    Args:
        folder: of this process's own party.
        held: client -> its `Budget` there.
        people: client -> its `People`, there.
        recalled: who remembers the heads -> client -> the number that it last stated there.
    """

    def __init__(
        self,
        folder: Path,
        held: Mapping[str, Any],
        people: Mapping[str, Any],
        recalled: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._folder, self._held, self._people = LedgerFolder(folder), held, people
        self._recalled = recalled

    def __bool__(self) -> bool:
        return bool(self._held)

    def items(self) -> Iterable[tuple[str, Any]]:
        """(client, ledger)"""
        return self._held.items()

    def remember(self, after: Mapping[str, Any]) -> None:
        """State every ledger's charges to all, who compare them with the last statement.

        Everybody has said which number each client last stated to it (`ledger_folder`): a folder that does not know it
        is an old copy. With its consent everybody says what it remembers now, for the next time.

        Args:
            after: client -> what must be done there first.

        Raises:
            ComponentError: a charge failed, or a ledger is not the one it was; at every party.
        """
        folder, clients, recalled = self._folder, list(self._held), self._recalled

        def state(people: People, budget: Budget, done: Any, numbers: list[str]) -> Statement:
            del done
            return folder.statement(people, budget, numbers)

        def compare(stated: Mapping[str, Statement], asked: Mapping[str, str]) -> dict[str, str]:
            folder.remember(stated, asked)
            return folder.recalled(clients)

        told = {}
        for party, held in self._held.items():
            numbers = [asked[party] for asked in recalled.values() if party in asked]
            told[party] = run_on(party, state, self._people[party], held, after.get(party), numbers)
        stated = publish(told)
        self._recalled = publish({party: run_on(party, compare, stated, recalled[party]) for party in recalled})

    def reports(self) -> dict[str, dict[str, Any]]:
        """Client -> its public figures."""
        if not self._held:
            return {}
        found: dict[str, dict[str, Any]] = publish(
            {p: run_on(p, lambda budget: budget.report(), held) for p, held in self._held.items()}
        )
        return found


def open_budgets(
    ctx: Any,
    settings: Settings,
    cast: Cast,
    sources: Sequence[Source],
    checkpoints: Checkpoints | None,
) -> tuple[Ledgers, list[float]]:
    """The clients' ledgers, and every round's noise: more where it follows epsilon and rounds are paid twice.

    Args:
        sources: the clients' rows: what is left is what is left to their people.

    Raises:
        ComponentError: a budget does not last for the rounds that are left (says for how many it does); a ledger is
            damaged, or was put back.
    """
    root = getattr(ctx, "data_root", None) or getattr(ctx, "data_dir", None)
    centre, rows = cast.coordinator, cast.rows  # it takes seconds: once, not everywhere
    if settings.privacy.unit == "none" or root is None or getattr(ctx, "checkpoint_dir", None) is None:
        return Ledgers(Path(), {}, {}, {}), publish(run_on(centre, multipliers, settings, rows))
    found = checkpoints.last_common() if checkpoints else None
    done, folder = found[0] if found else 0, Path(root) / FOLDER

    def recall(plans: bool) -> dict[str, Any]:
        numbers = LedgerFolder(folder).recalled(cast.clients)
        return {"numbers": numbers, "noises": multipliers(settings, rows) if plans else []}

    told = publish({party: run_on(party, recall, party == centre) for party in cast.holders})
    noises, recalled = told[centre]["noises"], {party: told[party]["numbers"] for party in cast.holders}
    people = {
        source.party: run_on(source.party, people_of, source.frame, source.ids, source.features) for source in sources
    }
    held = {
        p: run_on(p, lambda one: LedgerFolder(folder).budget(one, terms(settings)), people[p]) for p in cast.clients
    }
    opened = Ledgers(folder, held, people, recalled)
    opened.remember({})
    if not settings.privacy.noise:
        growth = {p: run_on(p, stretched, held[p], cast.rows[p], settings, noises, done) for p in cast.clients}
        factor = max(publish(growth).values())
        noises = [round_up(factor * each) for each in noises] if factor > 1 else noises
    costs = {party: charges(settings, cast.rows[party], noises) for party in cast.clients}

    def require(budget: Budget, of: ChargesOf) -> bool:
        require_rounds(budget, of, settings, done)
        return True

    publish({party: run_on(party, require, held[party], costs[party]) for party in cast.clients})
    return opened, noises


def require_summed(training: FedAvgTraining) -> None:
    """Refuse a training in which no round was added up: its model is the one it began with.

    Raises:
        ComponentError: with the latest incidents.
    """
    if training.secure_sum.rounds:
        return
    last = "; ".join(f"round {number + 1}: {who}: {why}" for number, who, why in training.standing.blamed[-3:])
    raise ComponentError(
        "no round was added up: in every one of them fewer clients were left than it needs. Lower guard/least_cosine "
        f"or secure_sum/minimum_clients, or look into the clients: {last or 'none sent an update'}."
    )


def used_noises(settings: Settings, planned: list[float], history: History) -> list[float]:
    """The multiplier of every round that was run."""
    return [row["noise"] for row in history.rows] if adaptive(settings) else planned


def _whole_noise(
    settings: Settings, clients: tuple[str, ...], noises: list[float], training: FedAvgTraining
) -> dict[str, Any]:
    """What this client itself added to its updates, and whom that stops: no party can vouch for the others' noise."""
    share, divided = training.noise_share, settings.privacy.colluding >= 0
    against = "the coordinator with all other clients"
    if divided:
        against = "whoever sees the sum, its own noise known to it; holds if the others of the round add theirs"
    together = {"multiplier_with_others": min(noises)} if divided else {}
    return {
        "distribution": "discrete Gaussian",
        "multiplier": share * min(noises),
        **together,
        "vectors": training.noised,
        "colluding": settings.privacy.tellers(len(clients)),
        "against": against,
    }


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
            receipt(ctx, "noise", unit="client", **_whole_noise(settings, clients, noises, training))
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
