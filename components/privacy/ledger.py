"""The privacy budget of one data set at one party: charged before anything is released, kept on disk, never lowered.

    budget = Budget(folder / "patients.budget.json", BudgetTerms(unit="record", delta=1e-6, epsilon=8.0))
    budget.require_rounds(charges_of, 50)          # before training: refuses, and says how many are possible
    budget.charge("train/3", [Charge(1.1, 0.01, 80)])   # before the round's noise is drawn; refuses what would exceed
    budget.report()

The people of a data set may have been charged in other ledgers as well, each of them in some: ``others`` says in which.
What counts is the one who was charged most (`people`).

A charge is on disk before `charge` returns. A round that is repeated after a crash is charged again: its first noise
may have left already. Entries are chained by hashes, which the other parties remember (`ledger_folder`), so that a
ledger put back from a backup is noticed; whoever owns the disk can still forge one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.accountant import (
    METHODS,
    Charge,
    epsilon,
    filter_order,
    hopeless,
    rounds_possible,
    within,
)

UNITS = {
    "record": "one record (row) is added or removed",
    "client": "one client's whole data set is added or removed; with few clients mostly a label",
}
NOT_COVERED = (
    "hyper-parameters chosen by looking at results",
    "statistics used to scale and clean, where they were not charged here",
    "which records were aligned",
    "early stopping and contribution scores computed on private data",
    "a person with several records, or at several clients: epsilon grows with their number",
)


_LOCK = "charges.lock"


def _in_no_other() -> Sequence[Sequence[Path]]:
    return ((),)


class BudgetExceeded(ComponentError):
    """The round would cost more than is left; nothing was charged."""


@dataclass(frozen=True)
class BudgetTerms:
    """What a budget means. Fixed by its first charge, but for ``epsilon``, which may be lowered.

    Args:
        unit: one of `UNITS`.
        epsilon: the limit on all charges together.
        method: of `accountant.METHODS`; ``filter`` where multipliers depend on outputs.
        per_round: limit on the epsilon of a single round; 0: none.
    """

    unit: str
    delta: float
    epsilon: float
    method: str = "pld"
    per_round: float = 0.0

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ComponentError(f"budget: no unit '{self.unit}'; choose one of {', '.join(UNITS)}.")
        if self.method not in METHODS:
            raise ComponentError(f"budget: no method '{self.method}'; choose one of {', '.join(METHODS)}.")
        if not (self.epsilon > 0 and 0 < self.delta < 1 and self.per_round >= 0):
            raise ComponentError("budget: epsilon must be positive, delta between 0 and 1, and per_round not negative.")

    def check_schedule(self, public: bool, rate: float) -> None:
        """Refuse multipliers that follow outputs where only `filter` can count them.

        Args:
            public: `Schedule.public`.
            rate: of the Poisson batches; without sampling the closed form of Gaussians is a filter itself (Smith and
                Thakurta 2022, arxiv.org/abs/2210.17520).

        Raises:
            ComponentError: with the method to use.
        """
        if not public and rate < 1 and self.method != "filter":
            raise ComponentError(
                f"budget: method '{self.method}' cannot count noise that follows earlier outputs. Use method 'filter', "
                "or a schedule that is fixed before training."
            )


class Budget:
    """A ledger of charges.

    Args:
        path: its file; made if missing. One per data set and party.
        terms: must agree with those of the charges in the file, if there are any, and in ``others``.
        others: the files of other ledgers that its people are in, one list per kind of person; asked again each time.

    Raises:
        ComponentError: it was charged by other terms, or is damaged.
    """

    def __init__(
        self, path: Path, terms: BudgetTerms, others: Callable[[], Sequence[Sequence[Path]]] = _in_no_other
    ) -> None:
        self._path, self.terms, self._others = Path(path), terms, others
        self._approved: list[Counter[tuple[float, float]]] = []
        """Charges that are known to cost at most epsilon; any part of them costs no more."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked():
            document = self._read(self._path)
            if document is None or not document["entries"]:
                order = filter_order(terms.epsilon, terms.delta) if terms.method == "filter" else None
                document = {"terms": asdict(terms), "order": order, "entries": []}
                self._write(document)
            self._order: float | None = document["order"]
            self._require_same(document, self._path)
            kept = float(document["terms"]["epsilon"])
            self._require_no_more(kept, self._path)
            for other in {path for some in self._others() for path in some}:
                charged = self._read(other)
                if charged is not None and charged["entries"]:
                    self._require_same(charged, other)
                    self._require_no_more(float(charged["terms"]["epsilon"]), other)
            if terms.epsilon < kept:
                self._write({**document, "terms": asdict(terms)})

    @property
    def spent(self) -> float:
        """Epsilon of all charges so far, of the person who was charged most."""
        return self._largest(self._totals(self._charges()))

    @property
    def touched(self) -> bool:
        """Whether any of its people were charged before."""
        return any(self._totals(self._charges()))

    def hashes(self) -> list[str]:
        """One hash per charge, oldest first; each stands for all up to it. Public, for the others to remember."""
        return [entry["hash"][:32] for entry in self._entries()]

    @staticmethod
    def read_hashes(path: Path) -> list[str]:
        """`hashes` of the ledger in a file, none where there is no file.

        Raises:
            ComponentError: it is damaged.
        """
        document = Budget._read(path)
        return [entry["hash"][:32] for entry in document["entries"]] if document else []

    def allows(self, charges: Sequence[Charge]) -> bool:
        """Whether ``charges`` fit into what is left. If so, `charge` takes them, and parts of them, without a second
        evaluation: that takes about a second."""
        totals = self._totals([*self._charges(), *charges])
        fits = all(self._within(total, self.terms.epsilon) for total in totals)
        if fits:
            self._approved = [_steps(total) for total in totals]
        return fits

    def charge(self, what: str, charges: Sequence[Charge]) -> None:
        """Write ``charges`` down; what they pay for may be released once this returns.

        Args:
            what: a public name, such as ``train/3``.

        Raises:
            BudgetExceeded: they would exceed the budget, or the limit on a single round. Nothing was written.
        """
        if not charges:
            raise ComponentError("budget: there is nothing to charge; a release without noise has no epsilon.")
        with self._locked():
            document = self._read(self._path)
            assert document is not None, "the ledger was made with the Budget"
            self._require_same(document, self._path)  # another run may have made the first charge in the meantime
            self._require_left(what, charges, _charges(document["entries"]))
            previous = document["entries"][-1]["hash"] if document["entries"] else ""
            entry: dict[str, Any] = {"what": what, "charges": [asdict(charge) for charge in charges]}
            # Peers see the hash, and shall not guess other runs' charges by it.
            entry["salt"] = secrets.token_hex(16)
            document["entries"].append({**entry, "hash": _digest(previous, entry)})
            self._write(document)

    def possible(self, charges_of: Callable[[int], Sequence[Charge]], most: int = 4096) -> int:
        """How many more rounds the rest of the budget allows."""
        terms, found = self.terms, most
        for spent in self._totals(self._charges()):
            found = min(found, rounds_possible(charges_of, terms.epsilon, terms.delta, terms.method, spent, found))
        return found

    def require_rounds(self, charges_of: Callable[[int], Sequence[Charge]], rounds: int) -> None:
        """Before training: refuse if not all ``rounds`` fit, and say how many do.

        Raises:
            BudgetExceeded: with the number of rounds possible.
        """
        allowed = self.possible(charges_of, rounds)
        if allowed < rounds:
            # An epsilon that something was charged under cannot be raised.
            more = "or smaller batches" if self.touched else "smaller batches, or a larger epsilon"
            raise BudgetExceeded(
                f"budget: epsilon {self.terms.epsilon:g} at delta {self.terms.delta:g} allows {allowed} more round(s) "
                f"of this noise, {rounds} are asked for ({self.spent:.3g} is spent). Use fewer rounds, more noise, "
                f"{more}."
            )

    def report(self) -> dict[str, Any]:
        """Public figures: what the budget means, what is spent, the costliest round, what is not covered."""
        entries, terms = self._entries(), self.terms
        bounds = [epsilon(_charges([entry]), terms.delta, "rdp") for entry in entries]  # quick; the order is the same
        worst = max(range(len(bounds)), key=bounds.__getitem__, default=None)
        totals = self._totals(_charges(entries))
        return {
            "unit": terms.unit,
            "neighbours": UNITS[terms.unit],
            "delta": terms.delta,
            "epsilon": self._largest(totals),
            "epsilon_limit": terms.epsilon,
            "epsilon_rdp": max(epsilon(total, terms.delta, "rdp") for total in totals),
            "method": terms.method,
            "rounds": len(entries),
            "round_maximum": self._epsilon(_charges([entries[worst]])) if worst is not None else 0.0,
            "round_of_maximum": entries[worst]["what"] if worst is not None else "",
            "not_covered": list(NOT_COVERED),
        }

    def _totals(self, own: Sequence[Charge]) -> list[list[Charge]]:
        """What each kind of person is charged in all, ``own`` included; without those who are charged no more than
        another kind."""
        found: dict[frozenset[tuple[tuple[float, float], int]], list[Charge]] = {}
        read: dict[Path, list[Charge]] = {}
        for some in self._others():
            for path in some:
                if path not in read:
                    document = self._read(path)
                    read[path] = _charges(document["entries"]) if document else []
            total = [*(charge for path in some for charge in read[path]), *own]
            found.setdefault(frozenset(_steps(total).items()), total)
        steps = [_steps(total) for total in found.values()]
        return [
            total
            for total, mine in zip(found.values(), steps, strict=True)
            if not any(mine <= other and mine != other for other in steps)
        ]

    def _largest(self, totals: Sequence[Sequence[Charge]]) -> float:
        return max(self._epsilon(total) for total in totals)

    def _epsilon(self, charges: Sequence[Charge]) -> float:
        return epsilon(charges, self.terms.delta, self.terms.method, self._order)

    def _within(self, charges: Sequence[Charge], limit: float) -> bool:
        return within(charges, limit, self.terms.delta, self.terms.method, self._order)

    def _shown(self, charges: Sequence[Charge], limit: float) -> float:
        """Epsilon for a message about a refusal; the quick bound where the exact figure would take minutes."""
        bound = epsilon(charges, self.terms.delta, "rdp")
        return bound if bound > hopeless(limit) else self._epsilon(charges)

    def _require_left(self, what: str, charges: Sequence[Charge], before: Sequence[Charge]) -> None:
        terms = self.terms
        if terms.per_round and not self._within(charges, terms.per_round):
            cost = self._shown(charges, terms.per_round)
            raise BudgetExceeded(
                f"budget: '{what}' alone would cost epsilon {cost:.4g}, a single round may cost "
                f"{terms.per_round:g}. Use more noise in it."
            )
        for both in self._totals([*before, *charges]):
            if any(_steps(both) <= approved for approved in self._approved) or self._within(both, terms.epsilon):
                continue
            cost, spent = self._shown(both, terms.epsilon), self._largest(self._totals(before))
            raise BudgetExceeded(
                f"budget: '{what}' would bring epsilon to {cost:.4g} at delta {terms.delta:g}, the limit is "
                f"{terms.epsilon:g}; {spent:.4g} is spent. Nothing was released. Use fewer rounds or more noise."
            )

    def _require_no_more(self, kept: float, path: Path) -> None:
        """Refuse an epsilon above what people were promised."""
        if self.terms.epsilon > kept:
            raise ComponentError(
                f"budget: {path.name} was charged under epsilon {kept:g}; a run cannot raise it to "
                f"{self.terms.epsilon:g}. Ask for {kept:g} or less."
            )

    def _require_same(self, document: dict[str, Any], path: Path) -> None:
        """Refuse to add to charges that were counted in another way."""
        written = {**document["terms"], "order": document["order"]}
        wanted = {**asdict(self.terms), "order": self._order}
        for field in ("unit", "delta", "method", "order"):
            kept, asked = written[field], wanted[field]
            if kept != asked:
                raise ComponentError(
                    f"budget: {path.name} counts with {field} {kept}, this run with {asked}. What was spent "
                    "cannot be carried over; keep privacy/unit and privacy/delta, and a schedule that is adaptive or "
                    "is not, as they were."
                )

    def _charges(self) -> list[Charge]:
        return _charges(self._entries())

    def _entries(self) -> list[dict[str, Any]]:
        document = self._read(self._path)
        return document["entries"] if document else []

    @staticmethod
    def _read(path: Path) -> dict[str, Any] | None:
        try:
            document = json.loads(path.read_text())
            previous = ""
            for entry in document["entries"]:
                content = {key: value for key, value in entry.items() if key != "hash"}
                if entry["hash"] != _digest(previous, content):
                    raise ValueError("broken chain")
                previous = entry["hash"]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise ComponentError(
                f"budget: {path.name} is damaged or was edited. Restore the newest copy; a new ledger would "
                "forget what was spent."
            ) from None
        return document  # type: ignore[no-any-return]

    def _write(self, document: dict[str, Any]) -> None:
        fresh = self._path.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the rename itself
        finally:
            os.close(folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # One lock for all ledgers of a folder: what is charged in one counts in others.
        with open(self._path.parent / _LOCK, "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _steps(charges: Sequence[Charge]) -> Counter[tuple[float, float]]:
    found: Counter[tuple[float, float]] = Counter()
    for charge in charges:
        found[charge.multiplier, charge.rate] += charge.steps
    return found


def _charges(entries: Sequence[dict[str, Any]]) -> list[Charge]:
    return [Charge(**charge) for entry in entries for charge in entry["charges"]]


def _digest(previous: str, entry: dict[str, Any]) -> str:
    return hashlib.sha256((previous + json.dumps(entry, sort_keys=True)).encode()).hexdigest()
