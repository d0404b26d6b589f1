"""Federated averaging at the parties: one round after the other, the same calls at every party.

Sent  the global model, from the coordinator to who works with it; each client's update into the secure sum; where
      settings ask for it, each client's update to the party with the reference rows (see `Settings.needs_individual`).
      Published: who takes part, whether an update was shortened, scores and weights, figures of the round.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from veilflow.components.devices.pyu import publish, run_on, send_to
from veilflow.components.horizontal.fedavg import judge as judging
from veilflow.components.horizontal.fedavg import rounds, server, weights
from veilflow.components.horizontal.fedavg.client import (
    Client,
    client_part,
    common,
    follow,
    make_client,
    restored,
    work,
)
from veilflow.components.horizontal.fedavg.codec import UNIT, decode, whole_weights
from veilflow.components.horizontal.fedavg.settings import ModelSpec, Settings
from veilflow.components.privacy.secagg.secure_sum import SecureSum
from veilflow.components.vertical.split.batches import order_token
from veilflow.components.vertical.split.tally import Tally

GLOBAL, SCORED = "global model", "scored update"


@dataclass(frozen=True)
class Cast:
    """Who plays which part, with what."""

    clients: tuple[str, ...]
    coordinator: str
    judge: str
    """Empty where there are no reference rows."""
    data: Mapping[str, Any]
    """``(x, y)`` at each client."""
    reference: Any
    """``(x, y)`` at the judge, or None."""
    rows: Mapping[str, int]
    shape: tuple[int, ...]

    @property
    def holders(self) -> tuple[str, ...]:
        """Everybody who has the model."""
        everybody = [*self.clients, self.coordinator, *([self.judge] if self.judge else [])]
        return tuple(dict.fromkeys(everybody))


@dataclass
class Standing:
    """What is public of a training besides its figures."""

    weights: dict[str, float]
    memory: dict[str, float] = field(default_factory=dict)
    """Running mean of scores."""
    best_loss: float = 1e30
    blamed: list[tuple[int, str, str]] = field(default_factory=list)
    """(round, client, why)"""
    log: list[dict[str, float]] = field(default_factory=list)
    """Per scored round: the number, and each client's score and next weight."""

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "blamed": [list(each) for each in self.blamed]}

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> "Standing":
        blamed = [(int(number), str(who), str(why)) for number, who, why in document["blamed"]]
        return Standing(**{**document, "blamed": blamed})


@dataclass
class _Pending:
    """An update that is not in the sum yet."""

    begun: int
    start: Any
    vector: Any
    facts: Any


class FedAvgTraining:
    """Training of one model by several clients.

    Args:
        cast: see `Cast`.
        noises: per round the noise multiplier of record-level DP; empty without.
        secure_sum: where the updates are added.
    """

    def __init__(
        self, cast: Cast, spec: ModelSpec, settings: Settings, noises: list[float], secure_sum: SecureSum
    ) -> None:
        self._cast, self._settings, self._noises, self._sum = cast, settings, noises, secure_sum
        self._slow = dict(settings.slow)
        self._pending: dict[str, _Pending] = {}
        self.tally = Tally()
        self.shortened = 0
        """Updates that exceeded the norm bound, in rounds so far."""
        self.standing = Standing(weights.starting(cast.rows, settings.weighting.by, settings.weighting))
        self._clients = {party: self._start(spec, party, cast.data[party]) for party in cast.clients}
        self._judge = self._start(spec, cast.judge, cast.reference) if cast.judge else None
        self._centre = self._start(spec, cast.coordinator, None)
        self._server = run_on(cast.coordinator, lambda client: server.start(common(client)), self._centre)
        self.parameters: int = publish(run_on(cast.coordinator, lambda state: int(state.params.size), self._server))

    def round(self, number: int) -> dict[str, float]:
        """Round ``number`` (from 0); its public figures."""
        before = self._server
        arriving = self._collect(number)
        figures: dict[str, float] = {"clients": float(len(arriving))}
        losses = self._facts(arriving)
        opinion = self._examine(number, arriving)
        counted = [party for party in arriving if party not in opinion["faults"]]
        if len(counted) < self._settings.secure_sum.minimum_clients:
            self._drop(opinion)
            return {**figures, **losses, **self._watch(number, opinion, before), "update_norm": 0.0}
        norm = self._aggregate(number, counted)
        self._drop(opinion)
        return {**figures, **losses, **self._watch(number, opinion, before), "update_norm": norm}

    def _collect(self, number: int) -> list[str]:
        """Clients that begin this round begin; those whose update is ready are returned."""
        tokens = publish({party: run_on(party, order_token) for party in self._cast.clients})
        least = self._settings.secure_sum.minimum_clients
        taking = rounds.chosen(
            [tokens[party] for party in self._cast.clients], self._cast.clients, self._settings.participation, least
        )
        noise = self._noises[number] if self._noises else 0.0
        for party in taking:
            if party not in self._pending and rounds.begins(party, number, self._slow):
                self._begin(party, number, noise)
        return [p for p in self._cast.clients if p in self._pending and self._ready(p, number)]

    def _ready(self, party: str, number: int) -> bool:
        return number - self._pending[party].begun >= self._slow.get(party, 1) - 1

    def _begin(self, party: str, number: int, noise: float) -> None:
        start = self._global_at(party)

        def train(client: Client, vector: np.ndarray) -> Any:
            return work(client, vector, noise, self.tally)

        self._clients[party], vector, facts = run_on(party, train, self._clients[party], start, returns=3)
        self._pending[party] = _Pending(number, start, vector, facts)

    def _facts(self, arriving: list[str]) -> dict[str, float]:
        """What the clients say of their round: under DP nothing but what the noised update says."""
        found = publish({party: self._pending[party].facts for party in arriving})
        self.shortened += sum(bool(each["shortened"]) for each in found.values())
        losses = {party: each["loss"] for party, each in found.items() if "loss" in each}
        if not losses:
            return {}
        total = sum(self._cast.rows[party] for party in losses)
        return {"train_loss": sum(self._cast.rows[party] * loss for party, loss in losses.items()) / total}

    def _examine(self, number: int, arriving: list[str]) -> dict[str, Any]:
        """Faults count at once, scores from the next round on."""
        nothing: dict[str, Any] = {"faults": {}, "scores": {}, "blame": ""}
        settings = self._settings
        if not settings.needs_individual or (number % settings.weighting.every and settings.guard.least_cosine <= -1):
            return nothing
        judge = self._cast.judge
        sent = [self._scored(party) for party in arriving]
        opinion: dict[str, Any] = publish(
            run_on(judge, lambda one, vector, *found: judging.examine(one, vector, arriving, *found),
                   self._seeing(), self._global_at(judge), *sent)
        )  # fmt: skip
        self.standing.blamed += [(number, party, why) for party, why in opinion["faults"].items()]
        return opinion

    def _scored(self, party: str) -> Any:
        vector = self._pending[party].vector
        return vector if party == self._cast.judge else send_to(self._cast.judge, vector, SCORED)

    def _aggregate(self, number: int, counted: list[str]) -> float:
        bound = self._settings.max_staleness
        late = {party: number - self._pending[party].begun for party in counted}
        shares = {
            party: self.standing.weights[party] * rounds.staleness_weight(late[party], bound) for party in counted
        }
        whole = whole_weights(shares)
        total = self._sum.sum({party: self._pending[party].vector for party in counted}, whole, number)
        guard, settings, weight = self._settings.guard, self._settings.server, sum(whole.values())

        def step(state: server.ServerState, found: np.ndarray) -> tuple[server.ServerState, float]:
            update = decode(found, guard.update_norm, guard.bits, weight)
            return server.step(state, update, settings), float(np.linalg.norm(update))

        coordinator = self._cast.coordinator
        self._server, norm = run_on(coordinator, step, self._server, total, returns=2)
        for party in counted:
            del self._pending[party]
        length: float = publish(norm)
        return length

    def _drop(self, opinion: dict[str, Any]) -> None:
        """Updates with a fault are not used later either; scores become the next round's weights."""
        for party in opinion["faults"]:
            self._pending.pop(party, None)

    def _watch(self, number: int, opinion: dict[str, Any], before: Any) -> dict[str, float]:
        """The reference rows' figures, the veto, and the weights of the next round."""
        figures: dict[str, float] = {}
        if self._judge is not None:
            judge = self._cast.judge
            figures = publish(run_on(judge, judging.figures, self._seeing(), self._global_at(judge)))
            veto = self._settings.guard.veto
            if veto and figures["valid_loss"] > self.standing.best_loss + veto:
                self._server = before
                self.standing.blamed.append((number, opinion["blame"] or "unknown", "the loss rose: round taken back"))
            self.standing.best_loss = min(self.standing.best_loss, figures["valid_loss"])
        if opinion["scores"]:
            self._reweigh(number, opinion["scores"])
        return figures

    def _reweigh(self, number: int, scores: Mapping[str, float]) -> None:
        rule, standing = self._settings.weighting, self.standing
        standing.memory = weights.remembered(standing.memory, scores, rule.memory)
        scored = {party: standing.memory.get(party, 0.0) for party in self._cast.clients}
        standing.weights = weights.bounded(scored, rule.smallest, rule.largest)
        row: dict[str, float] = {"round": float(number + 1)}
        for party in self._cast.clients:
            row |= {f"score {party}": scores.get(party, 0.0), f"weight {party}": standing.weights[party]}
        standing.log.append(row)

    def _start(self, spec: ModelSpec, party: str, data: Any) -> Any:
        settings, shape = self._settings, self._cast.shape

        def start(rows: Any) -> Client:
            return make_client(spec, settings, rows, shape, np.random.default_rng(secrets.randbits(128)))

        return run_on(party, start, data)

    def _global_at(self, party: str) -> Any:
        vector = run_on(self._cast.coordinator, lambda state: state.params, self._server)
        return vector if party == self._cast.coordinator else send_to(party, vector, GLOBAL)

    def _seeing(self) -> Any:
        """The judge, with the local layers of the client at the same party where there is one."""
        own = self._clients.get(self._cast.judge)
        return self._judge if own is None else run_on(self._cast.judge, judging.with_local_layers, self._judge, own)

    def state(self) -> dict[str, dict[str, Any]]:
        """Section -> party -> part: all that a later run needs to go on from here. Updates under way begin anew."""
        public = self.standing.to_json()
        kept = run_on(self._cast.coordinator, lambda state: ({"standing": public}, vars(state)), self._server)
        clients = {party: run_on(party, client_part, client) for party, client in self._clients.items()}
        return {"client": clients, "server": {self._cast.coordinator: kept}}

    def restore(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Go back (or on) to what `state` returned."""
        coordinator, self._pending = self._cast.coordinator, {}
        for party, client in self._clients.items():
            self._clients[party] = run_on(party, restored, client, state["client"][party])
        stored = state["server"][coordinator]
        self._server = run_on(coordinator, lambda part: server.ServerState(**part[1]), stored)
        self.standing = Standing.from_json(publish(run_on(coordinator, lambda part: part[0]["standing"], stored)))

    def model_sections(self) -> dict[str, dict[str, Any]]:
        """Section -> party -> part of the bundle: the final model at everybody who took part."""
        found = {}
        for party in self._cast.holders:
            own = self._clients.get(party) or (self._judge if party == self._cast.judge else self._centre)
            found[party] = run_on(party, lambda client, vector: client_part(follow(client, vector)), own,
                                  self._global_at(party))  # fmt: skip
        return {"model": found}


def value_bound(settings: Settings) -> int:
    """No weighted entry of an encoded update is larger."""
    return UNIT << (settings.guard.bits - 1)
