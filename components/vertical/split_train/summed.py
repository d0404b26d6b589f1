"""`release: summed`: drives the secret programs. Every party makes these calls in the same order.

Opened  per step and feature party one vector: that party's part of the batch's clipped, noised sum, to that party
        alone. Per epoch a noised mean squared error of the rows trained on, and one of the validation rows if there are
        any, to the label's holder, who publishes them.
Kept    the top model, its optimiser, the part of the noised sum that moves it, every label and every logit stay
        shares; no party knows the top model, its start included.
What it tells about one person, and why: `split.programs` and `split.account`.
"""

import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np

from veilflow.components.devices.labels import OPENED, sending
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.secret import SecretMachine, SecretProgram
from veilflow.components.training.batches import batches
from veilflow.components.training.tally import Tally
from veilflow.components.vertical.split import programs, top
from veilflow.components.vertical.split.account import figure_deviation, judged_deviation
from veilflow.components.vertical.split.fixed_point import FRACTION_BITS
from veilflow.components.vertical.split.model import Bottom, Dense, SplitModel
from veilflow.components.vertical.split.noise import gaussian
from veilflow.components.vertical.split.owner import (
    Owner,
    apply_opened,
    embed,
    make_owner,
    owner_part,
    restore_owner,
    saturated,
    step_feeds,
)
from veilflow.components.vertical.split.roster import Roster
from veilflow.components.vertical.split.settings import Settings

RING = 2.0**FRACTION_BITS

SCORE_ROWS = 4096
"""Rows scored by one secret program; the last chunk is filled up, so that one program serves all."""


class SummedTraining:
    """Training with the top model, the label and the loss inside the SPU.

    Args:
        data: per data holder ``(x, label or None)`` at that party.
        size: rows per batch.
    """

    def __init__(
        self,
        machine: SecretMachine,
        roster: Roster,
        model: SplitModel,
        settings: Settings,
        data: Mapping[str, Any],
        size: int,
    ) -> None:
        self._machine, self._roster, self._settings, self._size = machine, roster, settings, size
        self._model = model
        self._holders = secret_holders(roster, model)
        self._width = sum(h.width for h in self._holders)
        self.parameters = programs.released_length(self._holders, model.top)
        """Entries of what is summed and noised in a step."""
        self.tally = Tally()
        self._noise = settings.multiplier()
        self._noise_from = roster.holders if self._noise else ()
        optimiser = programs.TopOptimiser(settings.top_optimiser.name, settings.top_optimiser.rate)
        self._state = ("top", *optimiser.state)
        self._release = secret(programs.release_program(self._holders, model.top, settings.clip, self._noise_from))
        self._update = secret(programs.update_program(size, optimiser))
        self._owners = {party: self._start(party, data[party]) for party in roster.holders}
        self._start_top(optimiser)

    def epoch(self, order: np.ndarray) -> dict[str, float]:
        """Train on whole batches of ``order``; the noised mean squared error, known to all."""
        self._machine.zeros({"trained": (1,)})
        steps = 0
        for rows in batches(order, self._size):
            self._step(rows)
            steps += 1
        return {"train_brier": self._figure("trained", steps * self._size, figure_deviation(self._noise))}

    def validate(self, data: Mapping[str, Any], rows: int) -> dict[str, float]:
        """The noised mean squared error of other rows, known to all; nobody sees their logits."""
        program = secret(programs.judge_program(list(self._model.bottoms), self._model.top))
        chunk = min(rows, SCORE_ROWS)
        self._machine.zeros({"judged": (1,)})
        for start in range(0, rows, chunk):
            counts = (np.arange(start, start + chunk) < rows).astype(np.float32)
            feeds = [self._judged(party, data[party], start, chunk) for party in self._roster.holders]
            self._machine.run(program, feeds, publics={"counts": counts})
        return {"valid_brier": self._figure("judged", rows, judged_deviation(self._noise))}

    def state(self) -> dict[str, dict[str, Any]]:
        """Section -> party -> part: all that a later run needs to go on from here."""
        bottoms = {party: run_on(party, owner_part, owner, True) for party, owner in self._owners.items()}
        return {"bottom": bottoms, "top": self._machine.save(self._state)}

    def restore(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Go back (or on) to what `state` returned."""
        for party, owner in self._owners.items():
            self._owners[party] = run_on(party, restore_owner, owner, state["bottom"][party])
        self._machine.load(state["top"])

    def model_sections(self) -> dict[str, dict[str, Any]]:
        """Section -> party -> part of the bundle: bottoms without their optimiser's memory, the top model's shares."""
        bottoms = {party: run_on(party, owner_part, self._owners[party], False) for party in self._roster.bottoms}
        return {"bottom": bottoms, "top": self._machine.save(("top",))}

    def owes(self, party: str) -> int:
        """Noise vectors that ``party`` adds to each batch."""
        return int(party in self._noise_from)

    def _start(self, party: str, data: Any) -> Any:
        bottom, optimiser = self._model.bottoms.get(party), self._settings.bottom_optimiser

        def start(pair: tuple[np.ndarray, np.ndarray | None]) -> Owner:
            return make_owner(*pair, bottom, optimiser, np.random.default_rng(secrets.randbits(128)))

        return run_on(party, start, data)

    def _start_top(self, optimiser: programs.TopOptimiser) -> None:
        """The top model starts as a sum of every holder's random parts: nobody knows where."""
        holders, width, spec = self._roster.holders, self._width, self._model.top
        names = tuple(f"start/{party}" for party in holders)

        def draw(party: str) -> dict[str, np.ndarray]:
            rng = np.random.default_rng(secrets.randbits(128))
            return {f"start/{party}": top.init_top(width, spec, rng) / np.sqrt(len(holders))}

        for party in holders:
            self._machine.send_shares(party, run_on(party, draw, party))
        self._machine.run(SecretProgram("start", lambda *parts: (sum(parts[1:], parts[0]),), names, ("top",)))
        self._machine.drop(names)
        length = top.count(width, spec)
        memory = run_on(holders[0], lambda: {name: np.zeros(length, np.float32) for name in optimiser.state})
        self._machine.send_shares(holders[0], memory)

    def _step(self, rows: np.ndarray) -> None:
        feeds = [self._feeds(party, rows) for party in self._roster.holders]
        opens = {h.party: (f"{h.party}/gradient",) for h in self._holders}
        opened = self._machine.run(self._release, feeds, opens=opens)
        self.tally.released(len(rows))
        # The top model's own step runs while the bottoms' owners already work on what was opened.
        self._machine.run(self._update)
        for party, messages in opened.items():
            self._owners[party] = self._apply(party, messages)

    def _feeds(self, party: str, rows: np.ndarray) -> list[Any]:
        share, deviation = self._machine.share_all(), self._noise * self._settings.clip
        length = self.parameters if party in self._noise_from else 0

        def feed(owner: Owner) -> list[bytes]:
            feeds = step_feeds(owner, party, rows, length, deviation)
            self.tally.fed(feeds[name] / RING for name in feeds if name.startswith("noise/"))
            return share(feeds)

        found: list[Any] = run_on(party, feed, self._owners[party], returns=self._machine.world)
        return found

    def _judged(self, party: str, data: Any, start: int, chunk: int) -> list[Any]:
        bottom, share = self._model.bottoms.get(party), self._machine.share_all()

        def feed(owner: Owner, pair: tuple[np.ndarray, np.ndarray | None]) -> list[bytes]:
            x, label = pair
            feeds: dict[str, np.ndarray] = {}
            if bottom is not None:
                feeds[f"{party}/embedding"] = _embedded(bottom, owner.params, _filled(x, start, chunk))
            if label is not None:
                feeds["label"] = _filled(label, start, chunk)
            return share(feeds)

        found: list[Any] = run_on(party, feed, self._owners[party], data, returns=self._machine.world)
        return found

    def _figure(self, name: str, rows: int, deviation: float) -> float:
        """The running figure ``name`` over ``rows`` rows, noised and published."""
        share, keeper = self._machine.share_all(), self._roster.label_party

        def drawn(party: str) -> list[bytes]:
            return share({f"figure noise/{party}": gaussian(1, deviation)})

        feeds = [run_on(party, drawn, party, returns=self._machine.world) for party in self._noise_from]
        program = secret(programs.figure_program(name, self._noise_from))
        opened = self._machine.open_to(keeper, program, feeds=feeds)
        mean: float = publish(run_on(keeper, lambda found: float(found[f"figure/{name}"][0]) / rows, opened))
        return mean

    def _apply(self, party: str, messages: list[Any]) -> Any:
        join, size = self._machine.join_all(), self._size

        def apply(owner: Owner, *received: bytes) -> Owner:
            return apply_opened(owner, join(received)[f"{party}/gradient"], size)

        with sending(OPENED):
            return run_on(party, apply, self._owners[party], *messages)


def secret_holders(roster: Roster, model: SplitModel) -> list[programs.Holder]:
    """The feature parties as secret programs see them."""
    found = []
    for party, names in roster.features.items():
        bottom = model.bottoms[party]
        assert isinstance(bottom, Dense), "checked before: sums are released for dense bottoms only"
        found.append(programs.Holder(party, len(names), bottom))
    return found


def secret_logits(
    machine: SecretMachine,
    model: SplitModel,
    params: Mapping[str, Any],
    features: Mapping[str, Any],
    rows: int,
    receiver: str,
) -> Any:
    """Logits of ``rows`` rows, opened to ``receiver`` only; the variable ``top`` must be set.

    Args:
        params, features: per feature party (in model order) at that party.
    """
    program = secret(programs.score_program(list(model.bottoms), model.top))
    share, chunk = machine.share_all(), min(rows, SCORE_ROWS)

    def feed(party: str, start: int) -> list[Any]:
        bottom = model.bottoms[party]

        def embedded(parameters: Any, x: np.ndarray) -> list[bytes]:
            return share({f"{party}/embedding": _embedded(bottom, parameters, _filled(x, start, chunk))})

        found: list[Any] = run_on(party, embedded, params[party], features[party], returns=machine.world)
        return found

    chunks = []
    for start in range(0, rows, chunk):
        feeds = [feed(party, start) for party in model.bottoms]
        chunks.append(machine.open_to(receiver, program, feeds=feeds))
    return run_on(receiver, lambda *found: np.concatenate([each["logits"] for each in found])[:rows], *chunks)


def secret(program: programs.Program) -> SecretProgram:
    """A kernel's program in the device layer's form."""
    return SecretProgram(program.name, program.fn, program.inputs, program.outputs)


def _filled(rows: np.ndarray, start: int, chunk: int) -> np.ndarray:
    """``chunk`` rows from ``start`` on, zeros behind the last."""
    part = rows[start : start + chunk]
    return np.concatenate([part, np.zeros((chunk - len(part), *rows.shape[1:]), rows.dtype)])


def _embedded(bottom: Bottom, params: Any, x: np.ndarray) -> np.ndarray:
    return saturated(embed(bottom, params, x))
