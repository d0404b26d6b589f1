"""Federated averaging at the parties: one round after the other, the same calls at every party.

Sent  the first global model and every round's sum, from the coordinator to everybody who holds the model; each client's
      update into the secure sum; where settings ask for it, each client's update to the party with the reference rows
      (see `Settings.needs_individual`). Published: scores, figures of the reference rows, and without noise each
      client's loss. A round without these is two messages per client: whatever else is public of it (who takes part,
      coordinates, bounds, the sum's norm) each party works out for itself.
"""

import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from veilflow.components.devices.pyu import known, publish, run_on, send_to
from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg import bounds, rounds, weights
from veilflow.components.horizontal.fedavg import judge as judging
from veilflow.components.horizontal.fedavg import replica as copies
from veilflow.components.horizontal.fedavg.bounds import Bounds
from veilflow.components.horizontal.fedavg.budget import (
    Budgets,
    adaptive,
)
from veilflow.components.horizontal.fedavg.client import (
    Client,
    client_part,
    common,
    encode,
    follow,
    learn,
    make_client,
)
from veilflow.components.horizontal.fedavg.codec import (
    Code,
    Share,
    kept,
    packed,
    packed_bytes,
    require_possible,
    shares_of,
    unpacked,
    value_bound,
)
from veilflow.components.horizontal.fedavg.layout import row_numbers
from veilflow.components.horizontal.fedavg.replica import Replica
from veilflow.components.horizontal.fedavg.settings import ModelSpec, Settings
from veilflow.components.horizontal.fedavg_train.spending import Spending
from veilflow.components.horizontal.fedavg_train.standing import NONE_YET, Cast, Standing
from veilflow.components.horizontal.fedavg_train.workforce import Lesson, Workforce
from veilflow.components.privacy.release import Release, at_bound, fitting
from veilflow.components.privacy.secagg.secure_sum import SecureSum
from veilflow.components.training.batches import order_token
from veilflow.components.training.tally import Tally

log = logging.getLogger("veilflow")

GLOBAL, SUM, SCORED = "global model", "public sum", "scored update"
_ASTRAY = "an update that is not finite: left out of the round"
_CURE = "Lower learning_rate, or scale the features (data/federated_stats)."
_WORSE = "the loss rose: round taken back"
_UNSEEN = "unknown (no single update is seen)"


class FedAvgTraining:
    """Training of one model by several clients.

    Args:
        cast: see `Cast`.
        noises: per round the noise multiplier (of an adaptive schedule the least it may be); empty without privacy.
        make_sum: (parameters) -> where the updates are added.
        budgets: per client its ledger, at that party; None or empty without.
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
        self._cast, self._settings = cast, settings
        self._spending = Spending(cast, settings, noises, budgets)
        self.tally = Tally()
        self.noised = 0
        """Updates that this process noised as a whole."""
        self.noise_share = 1.0
        """The smallest part of the noise that would protect it alone which this process added to one of them."""
        self.saturated = 0
        """Values that this process cut off at the agreed bound."""
        clients = {party: self._start(spec, party, cast.data[party]) for party in cast.clients}
        self._workforce = Workforce(cast, settings, clients)
        self._judge = self._start(spec, cast.judge, cast.reference) if cast.judge else None
        self._centre = self._start(spec, cast.coordinator, None)
        first = run_on(cast.coordinator, common, self._centre)
        shapes = publish(run_on(cast.coordinator, lambda centre: [list(s) for s in centre.layout.shapes], self._centre))
        self._rows = row_numbers(shapes)
        self.parameters = self._rows.size
        self._first, self._copies = first, dict[str, Any]()
        self.secure_sum = self._sum = make_sum(self.parameters)
        seed = b"".join(publish({party: run_on(party, order_token) for party in cast.clients}).values())
        if not self.parameters:
            raise ComponentError("net/keep_local names all layers: nothing is left to be averaged. Name fewer.")
        self._most = value_bound(settings, len(cast.clients))
        if settings.privacy.unit == "client":
            for noise in set(noises):  # values of too few bits are refused before a budget is touched
                fitting(settings.guard.update_norm, noise, kept(settings, self.parameters), self._most)
        equal = weights.starting(cast.rows, settings.weighting.by, settings.weighting)
        self.standing = Standing(equal, seed.hex(), bounds.first(settings))

    def noises(self, rounds: int) -> list[float]:
        """The multipliers of the rounds so far; empty without privacy."""
        return self._spending.noises(rounds, self.standing)

    @property
    def coordinates(self) -> int:
        """How many numbers an update has when it travels, a vote included."""
        return kept(self._settings, self.parameters) + self._settings.privacy.voting

    def sizes(self) -> dict[str, int]:
        """What the names in the step's `Claims.sends` stand for."""
        length, clients = self.coordinates, len(self._cast.clients)
        return {
            "coordinates": length,
            "parameters": self.parameters,
            "rounds": self._settings.rounds,
            "sum_bytes": packed_bytes(self._most, clients, length),
            "scored_bytes": packed_bytes(self._most, 1, length),
        }

    def distribute(self) -> None:
        """Give everybody the first global model."""
        for party in self._cast.holders:
            vector = self._first if party == self._cast.coordinator else send_to(party, self._first, GLOBAL)
            self._copies[party] = run_on(party, copies.replica, vector, self._settings, self._rows)

    def round(self, number: int) -> dict[str, float] | None:
        """Round ``number`` (from 0); its public figures. None: the budget does not last for it."""
        standing, spending, workforce = self.standing, self._spending, self._workforce
        if not spending.lasts(number, standing):
            return None
        before = dict(self._copies), standing.bounds
        bounded = {"clip": standing.bounds.clip} if self._settings.privacy.voting else {}
        spending.charge(number, standing)
        workforce.begin(number, self._lesson(number), lambda party: (self._copies[party], spending.licence(party)))
        arriving, losses = self._sound(number, workforce.arrived(number))
        shares = self._shares(number, arriving)
        vectors = self._vectors(number, shares)
        opinion = self._examine(number, vectors, shares)
        workforce.drop(opinion["faults"])
        for party in opinion["faults"]:
            del vectors[party], shares[party]
        norm = 0.0
        if len(vectors) >= workforce.least(vectors):
            norm = self._aggregate(number, vectors, shares)
        standing.norms.append(norm)
        noised = {"noise": self._noise(number)} if adaptive(self._settings) else {}
        figures = {"clients": float(len(vectors)), **losses, "update_norm": norm, **noised, **bounded}
        return {**figures, **self._watch(number, opinion, before)}

    def _sound(self, number: int, arriving: list[str]) -> tuple[list[str], dict[str, float]]:
        """Those of ``arriving`` whose training did not go astray, and what they say of their round: under DP nothing.

        Raises:
            ComponentError: too few are left.
        """
        if self._settings.privacy.unit != "none":
            return arriving, {}
        if not arriving:
            return [], {"train_loss": 0.0}
        found = publish({party: self._workforce.facts(party) for party in arriving})
        sound = [party for party in arriving if "loss" in found[party]]
        astray = [party for party in arriving if party not in sound]
        self._workforce.drop(astray)
        self.standing.blamed += [(number, party, _ASTRAY) for party in astray]
        needed = self._workforce.least(sound)
        if len(sound) < needed:
            raise ComponentError(
                f"round {number + 1}: the training of {', '.join(astray)} went astray (its update is not finite), and "
                f"{len(sound)} client(s) are left of {needed} that a round needs. {_CURE}"
            )
        total = sum(self._cast.rows[party] for party in sound)
        return sound, {"train_loss": sum(self._cast.rows[p] * found[p]["loss"] for p in sound) / total}

    def _noise(self, number: int) -> float:
        return self._spending.noise(number, self.standing)

    def _lesson(self, number: int) -> Lesson:
        """A client's local training in round ``number``."""
        noise, settings, seed = self._noise(number), self._settings, bytes.fromhex(self.standing.seed)
        clip = self.standing.bounds.clip

        def train(client: Client, held: Replica, licence: Any) -> Any:
            del licence  # a budget that is used up stops the client here
            mask = copies.mask_at(held, settings, seed, number)
            done, update, facts = learn(client, held.params, noise, self.tally, mask, clip)
            if facts.pop("astray", False):  # only this party's own log has it: no noise covers it
                log.warning(
                    "round %d: the local training went astray, and its update holds no row. %s", number + 1, _CURE
                )
            return done, update, facts

        return train

    def _shares(self, number: int, arriving: list[str]) -> dict[str, Share]:
        """Weight and noise of each client of this round, from public figures."""
        if not arriving:
            return {}
        settings, most = self._settings, self._settings.max_staleness
        late = {party: self._workforce.staleness(party, number) for party in arriving}
        whole = {party: self.standing.weights[party] * rounds.staleness_weight(late[party], most) for party in late}
        return shares_of(whole, self._release(number), settings.privacy.colluding)

    def _release(self, number: int) -> Release:
        """The grid and noise of this round."""
        noise = self._noise(number) if self._settings.privacy.unit == "client" else 0.0
        return fitting(self.standing.bounds.update, noise, kept(self._settings, self.parameters), self._most)

    def _code(self, number: int) -> Callable[[Replica], Code]:
        """How updates travel in this round, to be called at a party with its replica."""
        settings, clients, seed = self._settings, len(self._cast.clients), bytes.fromhex(self.standing.seed)
        noise, bound = self._noise(number), self.standing.bounds.update
        return lambda held: copies.code_at(held, settings, clients, seed, number, noise, bound)

    def _vectors(self, number: int, shares: Mapping[str, Share]) -> dict[str, Any]:
        """Each update as whole numbers, on this round's coordinates."""
        settings, code_at = self._settings, self._code(number)

        def make(update: np.ndarray, held: Replica, licence: Any, share: Share) -> np.ndarray:
            del licence
            code = code_at(held)
            found = encode(settings, code, update, share)
            self.noised += settings.privacy.unit == "client"
            self.noise_share = min(self.noise_share, share.noise)
            self.saturated += at_bound(found[: code.release.size], code.release)
            return found

        return {
            party: run_on(
                party, make, self._workforce.update(party), self._copies[party], self._spending.licence(party), share
            )
            for party, share in shares.items()
        }

    def _examine(self, number: int, vectors: Mapping[str, Any], shares: Mapping[str, Share]) -> dict[str, Any]:
        """Faults count at once, scores from the next round on."""
        settings, judge, most, length = self._settings, self._cast.judge, self._most, self.coordinates
        due = settings.guard.least_cosine > -1 or settings.guard.veto or number % settings.weighting.every == 0
        if not (vectors and settings.needs_individual and due):
            return {"faults": {}, "scores": {}, "blame": ""}
        short = {party: run_on(party, packed, vector, most, 1) for party, vector in vectors.items()}
        sent = [v if party == judge else send_to(judge, v, SCORED) for party, v in short.items()]
        code_at, judged = self._code(number), dict(shares)

        def examine(one: Client, held: Replica, *raw: bytes) -> dict[str, Any]:
            code = code_at(held)
            found = [unpacked(each, most, 1, length)[: code.release.size] for each in raw]
            return judging.examine(one, held.params, code, judged, *found)

        found = run_on(judge, examine, self._seeing(), self._copies[judge], *sent)
        if len(vectors) >= self._workforce.least(vectors):
            self._sum.begin(vectors, number, length)  # while the judge looks at them
        opinion: dict[str, Any] = publish(found)
        self.standing.blamed += [(number, party, why) for party, why in opinion["faults"].items()]
        return opinion

    def _aggregate(self, number: int, vectors: Mapping[str, Any], shares: Mapping[str, Share]) -> float:
        """The round's sum at everybody, and the L2 norm of the mean update, which each party reads off its own copy."""
        settings, centre, most = self._settings, self._cast.coordinator, self._most
        clients, length, size = len(self._cast.clients), self.coordinates, kept(self._settings, self.parameters)
        code_at, added = self._code(number), dict(shares)

        def checked(total: np.ndarray) -> bytes:
            require_possible(total, most, len(added))
            return packed(total, most, clients)

        def advance(held: Replica, raw: bytes) -> Replica:
            total = unpacked(raw, most, clients, length)[:size]
            return copies.advance(held, settings, code_at(held), number, total, added)

        before, release = self.standing.bounds, self._release(number)

        def moved(raw: bytes) -> tuple[float, float, float]:
            now, norm = bounds.after(before, settings, release, unpacked(raw, most, clients, length), added)
            return now.clip, now.update, norm

        total = run_on(centre, checked, self._sum.sum(vectors, round=number, length=length))
        sums = {party: total if party == centre else send_to(party, total, SUM) for party in self._cast.holders}
        for party, here in sums.items():
            self._copies[party] = run_on(party, advance, self._copies[party], here)
        self._workforce.drop(vectors)
        clip, update, norm = known({party: run_on(party, moved, here) for party, here in sums.items()})
        self.standing.bounds = Bounds(clip, update)
        return float(norm)

    def _watch(self, number: int, opinion: dict[str, Any], before: tuple[dict[str, Any], Bounds]) -> dict[str, float]:
        """The reference rows' figures, the veto, and the weights of the next round."""
        figures: dict[str, float] = {}
        if self._judge is not None:
            judge, standing = self._cast.judge, self.standing
            figures = self._figures(judge)
            veto = self._settings.guard.veto
            if veto and standing.best_loss >= NONE_YET:
                standing.best_loss = self._figures(judge, before[0])["valid_loss"]
            if veto and figures["valid_loss"] > standing.best_loss + veto:
                self._copies, standing.bounds = before
                standing.blamed.append((number, opinion["blame"] or _UNSEEN, _WORSE))
                figures = self._figures(judge)  # of the model that is kept
            standing.best_loss = min(standing.best_loss, figures["valid_loss"])
        if opinion["scores"]:
            self.standing.reweigh(self._settings.weighting, self._cast.clients, number, opinion["scores"])
        return figures

    def _figures(self, judge: str, at: Mapping[str, Any] | None = None) -> dict[str, float]:
        found: dict[str, float] = publish(run_on(judge, judging.figures, self._seeing(), self._served(judge, at)))
        return found

    def _start(self, spec: ModelSpec, party: str, data: Any) -> Any:
        settings, shape = self._settings, self._cast.shape

        def start(rows: Any) -> Client:
            return make_client(spec, settings, rows, shape, np.random.default_rng(secrets.randbits(128)))

        return run_on(party, start, data)

    def _served(self, party: str, at: Mapping[str, Any] | None = None) -> Any:
        return run_on(party, lambda held: held.served, (at or self._copies)[party])

    def _seeing(self) -> Any:
        """The judge, with the local layers of the client at the same party where there is one."""
        own = self._workforce.clients.get(self._cast.judge)
        return self._judge if own is None else run_on(self._cast.judge, judging.with_local_layers, self._judge, own)

    def state(self) -> dict[str, dict[str, Any]]:
        """Section -> party -> part: all that a later run needs to go on from here. Updates under way begin anew."""
        public = {"standing": self.standing.to_json()}
        held = {
            party: run_on(party, lambda copy: (public, copies.to_arrays(copy)), copy)
            for party, copy in self._copies.items()
        }
        return {"client": self._workforce.state(), "model": held}

    def restore(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Go back (or on) to what `state` returned."""
        self._workforce.restore(state["client"])
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
            own = self._workforce.clients.get(party) or (self._judge if party == self._cast.judge else self._centre)
            found[party] = run_on(
                party, lambda client, vector: client_part(follow(client, vector)), own, self._served(party)
            )
        return found
