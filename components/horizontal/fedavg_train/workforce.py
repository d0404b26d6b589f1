"""The clients' local trainings: who begins one, and whose update is there. Updates stay where they are made; the same
calls are made at every party.

A round need not wait for everybody. `Settings.slow` names clients that bring an update every so many rounds;
`Settings.wait` lets a round wait so many seconds and then go on without whoever has not finished. What comes later
counts in a later round, with less weight (`rounds.staleness_weight`).
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg import rounds
from veilflow.components.horizontal.fedavg.client import client_part, restored
from veilflow.components.horizontal.fedavg.errand import Errand
from veilflow.components.horizontal.fedavg.settings import Settings
from veilflow.components.horizontal.fedavg_train.standing import Cast
from veilflow.components.training.batches import order_token

Lesson = Callable[..., tuple[Any, Any, Any]]
"""(client, *what it needs there) -> the client after local training, its update, what may be said of it"""

_PATIENCE_SECONDS = 3600.0
"""For a round that has fewer updates than a sum needs."""


@dataclass
class _Pending:
    """A local training that is not in the sum yet."""

    begun: int
    errand: Any = None
    update: Any = None
    facts: Any = None


class Workforce:
    """The clients at their parties.

    Args:
        clients: party -> its `Client`, there.
    """

    def __init__(self, cast: Cast, settings: Settings, clients: Mapping[str, Any]) -> None:
        self._cast, self._settings = cast, settings
        self.clients = dict(clients)
        self._slow, self._pending = dict(settings.slow), dict[str, _Pending]()

    def begin(self, number: int, lesson: Lesson, needs: Callable[[str], tuple[Any, ...]]) -> None:
        """Round ``number``: clients that take part and are free begin a local training.

        Args:
            lesson: runs at the client.
            needs: party -> what ``lesson`` takes besides the client, at that party.
        """
        for party, waiting in list(self._pending.items()):
            if number - waiting.begun > self._settings.max_staleness:
                del self._pending[party]
        for party in self._taking():
            if party not in self._pending and rounds.begins(party, number, self._slow):
                self._pending[party] = self._begun(party, number, lesson, needs(party))

    def arrived(self, number: int) -> list[str]:
        """Clients whose update is there, in their usual order; none where they are fewer than a sum needs.

        Raises:
            ComponentError: a sum's worth of updates did not come in an hour.
        """
        due = [p for p in self._cast.clients if p in self._pending and self._due(p, number)]
        ready = self._finished(due) if self._settings.wait else due
        return ready if len(ready) >= self.least(ready) else []

    def least(self, present: Collection[str]) -> int:
        """How many updates a sum needs."""
        return self._settings.secure_sum.needed(tuple(present), self._cast.coordinator)

    def update(self, party: str) -> Any:
        """The update of a client that has arrived, there."""
        return self._pending[party].update

    def facts(self, party: str) -> Any:
        """What that client says of its training, there."""
        return self._pending[party].facts

    def staleness(self, party: str, number: int) -> int:
        """How many rounds old the model is that its update starts from."""
        return number - self._pending[party].begun

    def drop(self, parties: Collection[str]) -> None:
        """Their updates are used, or not wanted."""
        for party in list(parties):
            del self._pending[party]

    def state(self) -> dict[str, Any]:
        """Party -> its client's part of a checkpoint. Trainings under way begin anew after it."""
        return {party: run_on(party, client_part, client) for party, client in self.clients.items()}

    def restore(self, parts: Mapping[str, Any]) -> None:
        """Go back (or on) to what `state` returned."""
        self._pending = {}
        for party, client in self.clients.items():
            self.clients[party] = run_on(party, restored, client, parts[party])

    def _taking(self) -> list[str]:
        clients, share = list(self._cast.clients), self._settings.participation
        if share >= 1:
            return clients
        tokens = publish({party: run_on(party, order_token) for party in clients})
        return rounds.chosen(
            [tokens[party] for party in clients], clients, share, self._settings.secure_sum.minimum_clients
        )

    def _begun(self, party: str, number: int, lesson: Lesson, needs: tuple[Any, ...]) -> _Pending:
        if self._settings.wait:
            return _Pending(number, run_on(party, _sent_off(lesson), self.clients[party], *needs))
        self.clients[party], update, facts = run_on(party, lesson, self.clients[party], *needs, returns=3)
        return _Pending(number, None, update, facts)

    def _due(self, party: str, number: int) -> bool:
        return number - self._pending[party].begun >= self._slow.get(party, 1) - 1

    def _finished(self, due: list[str]) -> list[str]:
        """Of ``due`` those who are done after `Settings.wait`; longer where a sum would lack updates."""
        seconds, ready = self._settings.wait, list[str]()
        for _ in range(math.ceil(_PATIENCE_SECONDS / seconds)):
            asked = {p: run_on(p, lambda errand: errand.ready(seconds), self._pending[p].errand) for p in due}
            answers = publish(asked)
            ready = [party for party in due if answers[party]]
            if len(ready) >= min(self.least(ready), len(due)):
                break
        else:
            late = ", ".join(party for party in due if party not in ready)
            raise ComponentError(
                f"{late} did not finish a local training in {_PATIENCE_SECONDS / 60:.0f} minutes. Look into its "
                "machine, lower local_epochs, or leave it out of 'tables'."
            )
        for party in ready:
            pending = self._pending[party]
            if pending.errand is not None:
                errand, pending.errand = pending.errand, None
                self.clients[party], pending.update, pending.facts = run_on(party, Errand.result, errand, returns=3)
        return ready


def _sent_off(lesson: Lesson) -> Callable[..., Errand]:
    return lambda *found: Errand(lambda: lesson(*found))
