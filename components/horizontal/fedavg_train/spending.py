"""The noise of each round, and what it costs every client: decided from public figures, charged before it is drawn."""

from typing import Any

from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.horizontal.fedavg.budget import Budget, Budgets, adaptive, affordable, charge_of, schedule
from veilflow.components.horizontal.fedavg.settings import Settings
from veilflow.components.horizontal.fedavg_train.standing import Cast, Standing


class Spending:
    """What a training draws and pays.

    Args:
        noises: per round the noise multiplier (of an adaptive schedule the least it may be); empty without privacy.
        budgets: per client its ledger, at that party; None or empty without.
    """

    def __init__(self, cast: Cast, settings: Settings, noises: list[float], budgets: Budgets | None) -> None:
        self._cast, self._settings, self._noises, self._budgets = cast, settings, noises, budgets
        self._licences: dict[str, Any] = {}

    def noise(self, number: int, standing: Standing) -> float:
        """The multiplier of a round: planned, or decided from the public norms of the rounds before it."""
        if not self._noises:
            return 0.0
        if adaptive(self._settings):
            return schedule(self._settings).multiplier(number, standing.norms[:number])
        return self._noises[number]

    def noises(self, rounds: int, standing: Standing) -> list[float]:
        """The multipliers of the rounds so far; empty without privacy."""
        return [self.noise(number, standing) for number in range(rounds)] if self._noises else []

    def lasts(self, number: int, standing: Standing) -> bool:
        """Whether every client's budget lasts for this round; asked where that is not known before training."""
        settings, rows = self._settings, self._cast.rows
        if not (number and adaptive(settings)):
            return True
        if not self._budgets:
            return affordable(settings, rows, self.noises(number + 1, standing))
        noise, answers = self.noise(number, standing), {}
        for party, budget in self._budgets.items():
            cost = charge_of(settings, rows[party], noise)
            answers[party] = run_on(party, lambda held, cost: held.possible(lambda _: cost, 1) == 1, budget, cost)
        return all(publish(answers).values())

    def charge(self, number: int, standing: Standing) -> None:
        """Write down at every client what this round costs, before noise is drawn for it; every now and then tell.

        After a crash the rounds since the last checkpoint are repeated, and charged again: their first noise may have
        left already.
        """
        if not self._budgets:
            return
        settings = self._settings
        for party, budget in self._budgets.items():
            cost = charge_of(settings, self._cast.rows[party], self.noise(number, standing))
            self._licences[party] = run_on(party, _charged, budget, cost, f"round {number + 1}")
        if number % (settings.checkpoint_every or settings.rounds) == 0 or number == settings.rounds - 1:
            self._budgets.remember(self._licences)

    def licence(self, party: str) -> Any:
        """Stands for the charge of the round, at that client: what takes it as an argument does not run if the budget
        was used up. None where nothing is charged."""
        return self._licences.get(party)


def _charged(held: Budget, cost: Any, what: str) -> bool:
    held.charge(what, cost)
    return True
