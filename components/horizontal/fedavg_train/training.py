"""Federated averaging at the parties: one round after the other, the same calls at every party.

Sent  the first global model and every round's sum, from the coordinator to everybody who holds the model; each client's
      update into the secure sum; where settings ask for it, each client's update to the party with the reference rows
      (see `Settings.needs_individual`). Published: who takes part, scores and weights,
      figures of the round.
"""

import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from veilflow.components.devices.pyu import publish, run_on, send_to
from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg import judge as judging
from veilflow.components.horizontal.fedavg import replica as copies
from veilflow.components.horizontal.fedavg import rounds, weights
from veilflow.components.horizontal.fedavg.budget import (
    Budget,
    Budgets,
    adaptive,
    affordable,
    charge_of,
    schedule,
)
from veilflow.components.horizontal.fedavg.client import (
    Client,
    client_part,
    common,
    encode,
    follow,
    learn,
    make_client,
    restored,
)
from veilflow.components.horizontal.fedavg.codec import UNIT, kept, narrowed, release_of, whole_weights
from veilflow.components.horizontal.fedavg.replica import Replica
from veilflow.components.horizontal.fedavg.settings import ModelSpec, Settings
from veilflow.components.privacy.secagg.secure_sum import SecureSum
from veilflow.components.training.batches import order_token
from veilflow.components.training.tally import Tally

GLOBAL, SUM, SCORED = "global model", "public sum", "scored update"
_ASTRAY = "an update that is not finite: left out of the round"
_NONE_YET = 1e30
_WORSE = "the loss rose: round taken back"
_UNSEEN = "unknown (no single update is seen)"


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
    seed: str
    """Public randomness of all clients, hex: which coordinates travel."""
    memory: dict[str, float] = field(default_factory=dict)
    """Running mean of scores."""
    norms: list[float] = field(default_factory=list)
    """Of the noised mean update, per round; what the adaptive schedule follows."""
    best_loss: float = _NONE_YET
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
    """An update that is not in the sum yet; it lies at its client."""

    begun: int
    update: Any
    facts: Any


class FedAvgTraining:
    """Training of one model by several clients.

    Args:
        cast: see `Cast`.
        noises: per round the noise multiplier (of an adaptive schedule the least it may be); empty without privacy.
        make_sum: (parameters) -> where the updates are added.
        budgets: per client its ledger, at that party, and what a round costs it; None or empty without.
    """

    def __init__(
        self,
        cast: Cast,
        spec: ModelSpec,
        settings: Settings,
        noises: list[float],
        make_sum: Callable[[int], SecureSum],
        budgets: Budgets | None,
    ) -> None:
        self._cast, self._settings, self._noises = cast, settings, noises
        self._slow, self._budgets = dict(settings.slow), budgets
        self._pending: dict[str, _Pending] = {}
        self._licences: dict[str, Any] = {}
        self.tally = Tally()
        self.noised = 0
        """Updates that this process noised as a whole."""
        self._clients = {party: self._start(spec, party, cast.data[party]) for party in cast.clients}
        self._judge = self._start(spec, cast.judge, cast.reference) if cast.judge else None
        self._centre = self._start(spec, cast.coordinator, None)
        first = run_on(cast.coordinator, common, self._centre)
        self.parameters: int = publish(run_on(cast.coordinator, lambda vector: int(vector.size), first))
        self._first, self._copies = first, dict[str, Any]()
        self.secure_sum = self._sum = make_sum(self.parameters)
        seed = b"".join(publish({party: run_on(party, order_token) for party in cast.clients}).values())
        if not self.parameters:
            raise ComponentError("net/keep_local names all layers: nothing is left to be averaged.")
        self.standing = Standing(weights.starting(cast.rows, settings.weighting.by, settings.weighting), seed.hex())

    @property
    def coordinates(self) -> int:
        """How many numbers an update has when it travels, a vote included."""
        return kept(self._settings, self.parameters) + self._settings.privacy.voting

    def distribute(self) -> None:
        """Give everybody the first global model."""
        for party in self._cast.holders:
            vector = self._first if party == self._cast.coordinator else send_to(party, self._first, GLOBAL)
            self._copies[party] = run_on(party, copies.replica, vector, self._settings)

    def round(self, number: int) -> dict[str, float] | None:
        """Round ``number`` (from 0); its public figures. None: the budget does not last for it."""
        if number and adaptive(self._settings) and not self._affordable(number):
            return None
        before, bounded = dict(self._copies), self._bound()
        self._charge(number)
        arriving = self._sound(number, self._collect(number))
        losses, vectors = self._facts(arriving), self._vectors(number, arriving)
        opinion = self._examine(number, vectors)
        for party in opinion["faults"]:
            del self._pending[party], vectors[party]
        norm = 0.0
        if len(vectors) >= self._least(vectors):
            norm = self._aggregate(number, vectors)
        self.standing.norms.append(norm)
        noised = {"noise": self._noise(number)} if adaptive(self._settings) else {}
        figures = {"clients": float(len(vectors)), **losses, "update_norm": norm, **noised, **bounded}
        return {**figures, **self._watch(number, opinion, before)}

    def _collect(self, number: int) -> list[str]:
        """Clients that begin this round begin; those whose update is ready are returned."""
        for party, waiting in list(self._pending.items()):
            if number - waiting.begun > self._settings.max_staleness:
                del self._pending[party]
        for party in self._taking():
            if party not in self._pending and rounds.begins(party, number, self._slow):
                self._begin(party, number)
        ready = [p for p in self._cast.clients if p in self._pending and self._ready(p, number)]
        # Fewer than the least are never added up: they wait for others.
        return ready if len(ready) >= self._least(ready) else []

    def _least(self, present: Collection[str]) -> int:
        return self._settings.secure_sum.needed(tuple(present), self._cast.coordinator)

    def _sound(self, number: int, arriving: list[str]) -> list[str]:
        """Those of ``arriving`` who have an update; the others' training went astray, and they begin anew next round.

        Raises:
            ComponentError: too few are left.
        """
        if not arriving or self._settings.privacy.unit == "client":
            return arriving
        astray = publish({p: run_on(p, lambda update: update is None, self._pending[p].update) for p in arriving})
        sound = [party for party in arriving if not astray[party]]
        for party in arriving:
            if astray[party]:
                del self._pending[party]
                self.standing.blamed.append((number, party, _ASTRAY))
        if len(sound) < self._least(sound):
            raise ComponentError(
                f"round {number + 1}: the training of {', '.join(p for p in arriving if astray[p])} went astray (its "
                f"update is not finite), and {len(sound)} client(s) are left of {self._least(sound)} that a round "
                "needs. Lower learning_rate, or scale the features (data/federated_stats)."
            )
        return sound

    def _taking(self) -> list[str]:
        clients, share = list(self._cast.clients), self._settings.participation
        if share >= 1:
            return clients
        tokens = publish({party: run_on(party, order_token) for party in clients})
        return rounds.chosen(
            [tokens[party] for party in clients], clients, share, self._settings.secure_sum.minimum_clients
        )

    def _ready(self, party: str, number: int) -> bool:
        return number - self._pending[party].begun >= self._slow.get(party, 1) - 1

    def _noise(self, number: int) -> float:
        """The multiplier of a round: planned, or decided from the public norms of the rounds before it."""
        if not self._noises:
            return 0.0
        if adaptive(self._settings):
            return schedule(self._settings).multiplier(number, self.standing.norms[:number])
        return self._noises[number]

    def noises(self, rounds: int) -> list[float]:
        """The multipliers of the rounds so far; empty without privacy."""
        return [self._noise(number) for number in range(rounds)] if self._noises else []

    def _bound(self) -> dict[str, float]:
        """The clipping bound of this round, where it moves."""
        if not self._settings.privacy.voting:
            return {}
        first = self._cast.coordinator
        return {"clip": publish(run_on(first, lambda held: held.clip, self._copies[first]))}

    def _affordable(self, number: int) -> bool:
        """Whether every client's budget lasts for this round; asked where that is not known before training."""
        settings, rows = self._settings, self._cast.rows
        if not self._budgets:
            return affordable(settings, rows, self.noises(number + 1))
        noise, answers = self._noise(number), {}
        for party, (budget, _) in self._budgets.items():
            cost = charge_of(settings, rows[party], noise)
            answers[party] = run_on(party, lambda held, cost: held.possible(lambda _: cost, 1) == 1, budget, cost)
        return all(publish(answers).values())

    def _begin(self, party: str, number: int) -> None:
        noise, settings, seed = self._noise(number), self._settings, bytes.fromhex(self.standing.seed)

        def train(client: Client, held: Replica, licence: Any) -> Any:
            del licence  # a budget that is used up stops the client here
            mask = copies.mask_at(held, settings, seed, number)
            return learn(client, held.params, noise, self.tally, mask, held.clip)

        self._clients[party], update, facts = run_on(
            party, train, self._clients[party], self._copies[party], self._licences.get(party), returns=3
        )
        self._pending[party] = _Pending(number, update, facts)

    def _charge(self, number: int) -> None:
        """Write down at every client what this round costs, before noise is drawn for it; every now and then tell.

        After a crash the rounds since the last checkpoint are repeated, and charged again: their first noise may have
        left already.
        """
        if not self._budgets:
            return
        for party, (budget, of) in self._budgets.items():
            cost = of(number)
            if adaptive(self._settings):
                cost = charge_of(self._settings, self._cast.rows[party], self._noise(number))

            def charge(held: Budget, cost: Any, what: str = f"round {number + 1}") -> bool:
                held.charge(what, cost)
                return True

            self._licences[party] = run_on(party, charge, budget, cost)
        if (
            number % (self._settings.checkpoint_every or self._settings.rounds) == 0
            or number == self._settings.rounds - 1
        ):
            self._budgets.remember(self._licences)

    def _vectors(self, number: int, arriving: list[str]) -> dict[str, Any]:
        """Each update as whole numbers, on this round's coordinates."""
        settings, noise, seed = self._settings, self._noise(number), bytes.fromhex(self.standing.seed)

        def make(update: np.ndarray, held: Replica, licence: Any) -> np.ndarray:
            del licence
            self.noised += settings.privacy.unit == "client"
            return encode(settings, update, noise, copies.mask_at(held, settings, seed, number))

        return {
            party: run_on(party, make, self._pending[party].update, self._copies[party], self._licences.get(party))
            for party in arriving
        }

    def _facts(self, arriving: list[str]) -> dict[str, float]:
        """What the clients say of their round: under DP nothing but what the noised update says."""
        if self._settings.privacy.unit != "none":
            return {}
        found = publish({party: self._pending[party].facts for party in arriving})
        total = sum(self._cast.rows[party] for party in found)
        sums = sum(self._cast.rows[party] * each["loss"] for party, each in found.items())
        return {"train_loss": sums / total if found else 0.0}

    def _examine(self, number: int, vectors: Mapping[str, Any]) -> dict[str, Any]:
        """Faults count at once, scores from the next round on."""
        settings, judge, names = self._settings, self._cast.judge, list(vectors)
        due = settings.guard.least_cosine > -1 or settings.guard.veto or number % settings.weighting.every == 0
        if not (vectors and settings.needs_individual and due):
            return {"faults": {}, "scores": {}, "blame": ""}
        sent = [v if party == judge else send_to(judge, v, SCORED) for party, v in vectors.items()]
        noise, seed = self._noise(number), bytes.fromhex(self.standing.seed)

        def examine(one: Client, held: Replica, *found: np.ndarray) -> dict[str, Any]:
            mask = copies.mask_at(held, settings, seed, number)
            stretch = copies.stretch(held, settings)
            return judging.examine(one, held.params, noise, mask, names, *found, stretch=stretch)

        opinion: dict[str, Any] = publish(run_on(judge, examine, self._seeing(), self._copies[judge], *sent))
        self.standing.blamed += [(number, party, why) for party, why in opinion["faults"].items()]
        return opinion

    def _aggregate(self, number: int, vectors: Mapping[str, Any]) -> float:
        bound, settings, noise = self._settings.max_staleness, self._settings, self._noise(number)
        late = {party: number - self._pending[party].begun for party in vectors}
        whole = whole_weights(
            {party: self.standing.weights[party] * rounds.staleness_weight(late[party], bound) for party in vectors}
        )
        total = run_on(self._cast.coordinator, narrowed, self._sum.sum(vectors, whole, number))
        weight, seed = sum(whole.values()), bytes.fromhex(self.standing.seed)

        def advance(held: Replica, found: np.ndarray) -> tuple[Replica, float]:
            return copies.advance(held, settings, seed, number, noise, found, weight)

        norms = {}
        for party in self._cast.holders:
            here = total if party == self._cast.coordinator else send_to(party, total, SUM)
            self._copies[party], norms[party] = run_on(party, advance, self._copies[party], here, returns=2)
        for party in vectors:
            del self._pending[party]
        length: float = publish(norms[self._cast.coordinator])
        return length

    def _watch(self, number: int, opinion: dict[str, Any], before: dict[str, Any]) -> dict[str, float]:
        """The reference rows' figures, the veto, and the weights of the next round."""
        figures: dict[str, float] = {}
        if self._judge is not None:
            judge, standing = self._cast.judge, self.standing
            figures = self._figures(judge)
            veto = self._settings.guard.veto
            if veto and standing.best_loss >= _NONE_YET:
                standing.best_loss = self._figures(judge, before)["valid_loss"]
            if veto and figures["valid_loss"] > standing.best_loss + veto:
                self._copies = before
                standing.blamed.append((number, opinion["blame"] or _UNSEEN, _WORSE))
                figures = self._figures(judge)  # of the model that is kept
            standing.best_loss = min(standing.best_loss, figures["valid_loss"])
        if opinion["scores"]:
            self._reweigh(number, opinion["scores"])
        return figures

    def _figures(self, judge: str, at: Mapping[str, Any] | None = None) -> dict[str, float]:
        served = run_on(judge, lambda held: held.served, (at or self._copies)[judge])
        found: dict[str, float] = publish(run_on(judge, judging.figures, self._seeing(), served))
        return found

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

    def _served(self, party: str) -> Any:
        return run_on(party, lambda held: held.served, self._copies[party])

    def _seeing(self) -> Any:
        """The judge, with the local layers of the client at the same party where there is one."""
        own = self._clients.get(self._cast.judge)
        return self._judge if own is None else run_on(self._cast.judge, judging.with_local_layers, self._judge, own)

    def state(self) -> dict[str, dict[str, Any]]:
        """Section -> party -> part: all that a later run needs to go on from here. Updates under way begin anew."""
        public = {"standing": self.standing.to_json()}
        held = {
            party: run_on(party, lambda copy: (public, copies.to_arrays(copy)), copy)
            for party, copy in self._copies.items()
        }
        clients = {party: run_on(party, client_part, client) for party, client in self._clients.items()}
        return {"client": clients, "model": held}

    def restore(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Go back (or on) to what `state` returned."""
        self._pending = {}
        for party, client in self._clients.items():
            self._clients[party] = run_on(party, restored, client, state["client"][party])
        for party in self._cast.holders:
            self._copies[party] = run_on(party, lambda part: copies.from_arrays(part[1]), state["model"][party])
        first = self._cast.coordinator
        self.standing = Standing.from_json(
            publish(run_on(first, lambda part: part[0]["standing"], state["model"][first]))
        )

    def model_sections(self) -> dict[str, Any]:
        """Party -> part of the bundle: the final model at everybody who took part."""
        found = {}
        for party in self._cast.holders:
            own = self._clients.get(party) or (self._judge if party == self._cast.judge else self._centre)
            found[party] = run_on(
                party, lambda client, vector: client_part(follow(client, vector)), own, self._served(party)
            )
        return found


def value_bound(settings: Settings, size: int, noises: list[float]) -> int:
    """No weighted entry of an encoded update is larger, in any round."""
    if adaptive(settings) and settings.privacy.unit == "client":
        return UNIT << (settings.guard.bits - 1)  # the noise is not known yet, but any release fits into these bits
    return UNIT * max(release_of(settings, size, noise).bound for noise in set(noises) or {0.0})
