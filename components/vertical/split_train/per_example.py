"""`release: per_example`: drives training with the top model in the clear at the label's holder.

Sent  every row's embedding to the label's holder; every row's gradient back to its bottom's owner, which tells that
      owner the label (see `split.clear.label_leak`). Nothing else leaves a party but the epoch's figures.
"""

import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np

from veilflow.components.devices.pyu import publish, run_on, send_to
from veilflow.components.training.batches import batches
from veilflow.components.training.history import auc, log_loss
from veilflow.components.vertical.split import clear
from veilflow.components.vertical.split.model import SplitModel
from veilflow.components.vertical.split.owner import Owner, embed, make_owner, owner_part, restore_owner
from veilflow.components.vertical.split.roster import Roster
from veilflow.components.vertical.split.settings import Settings


class PerExampleTraining:
    """Training as split learning is usually done. Arguments as for `SummedTraining`."""

    def __init__(
        self, roster: Roster, model: SplitModel, settings: Settings, data: Mapping[str, Any], size: int
    ) -> None:
        self._roster, self._model, self._size = roster, model, size
        self._keeper = roster.label_party
        self._others = [party for party in roster.bottoms if party != self._keeper]
        self._position = list(roster.bottoms).index(self._keeper) if self._keeper in roster.bottoms else -1
        self._owners = {party: self._start(party, settings, data[party]) for party in roster.holders}
        widths = publish({party: run_on(party, _width, self._owners[party]) for party in roster.bottoms})
        self._holder = self._start_top(settings, sum(widths.values()))
        del self._owners[self._keeper]

    def epoch(self, order: np.ndarray) -> dict[str, float]:
        """Train on whole batches of ``order``; the mean loss, known to all."""
        steps = 0
        for rows in batches(order, self._size):
            self._step(rows)
            steps += 1
        seen = steps * self._size
        loss: float = publish(run_on(self._keeper, lambda holder: float(holder.loss) / seen, self._holder))
        self._holder = run_on(self._keeper, clear.new_epoch, self._holder)
        return {"train_loss": loss}

    def validate(self, data: Mapping[str, Any], rows: int) -> dict[str, float]:
        """Loss and AUC of other rows, published by the label's holder."""
        del rows
        sent = [self._embedding(party, run_on(party, lambda pair: pair[0], data[party])) for party in self._others]

        def judge(
            holder: clear.LabelHolder, own: tuple[np.ndarray, np.ndarray], *others: np.ndarray
        ) -> dict[str, float]:
            found = clear.holder_logits(holder, own[0], self._position, others)
            return {"valid_loss": log_loss(own[1], found), "valid_auc": auc(own[1], found)}

        figures: dict[str, float] = publish(run_on(self._keeper, judge, self._holder, data[self._keeper], *sent))
        return figures

    def state(self) -> dict[str, dict[str, Any]]:
        """Section -> party -> part: all that a later run needs to go on from here."""
        bottoms = {party: run_on(party, owner_part, owner, True) for party, owner in self._owners.items()}
        bottoms[self._keeper] = run_on(self._keeper, lambda holder: owner_part(holder.owner, True), self._holder)
        return {"bottom": bottoms, "top": {self._keeper: run_on(self._keeper, clear.top_part, self._holder, True)}}

    def restore(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Go back (or on) to what `state` returned."""
        for party, owner in self._owners.items():
            self._owners[party] = run_on(party, restore_owner, owner, state["bottom"][party])
        parts = (state["bottom"][self._keeper], state["top"][self._keeper])
        self._holder = run_on(self._keeper, clear.restore_holder, self._holder, *parts)

    def model_sections(self) -> dict[str, dict[str, Any]]:
        """Section -> party -> part of the bundle."""
        bottoms = {party: run_on(party, owner_part, owner, False) for party, owner in self._owners.items()}
        if self._position >= 0:
            bottoms[self._keeper] = run_on(self._keeper, lambda holder: owner_part(holder.owner, False), self._holder)
        return {"bottom": bottoms, "top": {self._keeper: run_on(self._keeper, clear.top_part, self._holder, False)}}

    def _start(self, party: str, settings: Settings, data: Any) -> Any:
        bottom = self._model.bottoms.get(party)

        def start(pair: tuple[np.ndarray, np.ndarray | None]) -> Owner:
            return make_owner(*pair, bottom, settings.bottom_optimiser, np.random.default_rng(secrets.randbits(128)))

        return run_on(party, start, data)

    def _start_top(self, settings: Settings, width: int) -> Any:
        spec, optimiser = self._model.top, settings.top_optimiser

        def start(owner: Owner) -> clear.LabelHolder:
            return clear.make_label_holder(owner, spec, width, optimiser, np.random.default_rng(secrets.randbits(128)))

        return run_on(self._keeper, start, self._owners[self._keeper])

    def _step(self, rows: np.ndarray) -> None:
        sent = []
        for party in self._others:
            here = run_on(
                party, lambda owner: matrix(embed(owner.bottom, owner.params, owner.x[rows])), self._owners[party]
            )
            sent.append(send_to(self._keeper, here, "embedding"))

        def learn(holder: clear.LabelHolder, *others: np.ndarray) -> list[Any]:
            made, gradients = clear.learn(holder, rows, self._position, others)
            return [made, *map(matrix, gradients)]

        self._holder, *gradients = run_on(self._keeper, learn, self._holder, *sent, returns=1 + len(sent))
        for party, gradient in zip(self._others, gradients, strict=True):
            back = send_to(party, gradient, "gradient")
            self._owners[party] = run_on(
                party, lambda owner, received: clear.follow(owner, rows, received), self._owners[party], back
            )

    def _embedding(self, party: str, features: Any) -> Any:
        here = run_on(
            party, lambda owner, x: matrix(embed(owner.bottom, owner.params, x)), self._owners[party], features
        )
        return send_to(self._keeper, here, "validation embedding")


def _width(owner: Owner) -> int:
    assert owner.bottom is not None
    return int(embed(owner.bottom, owner.params, owner.x[:2]).shape[1])


def matrix(found: Any) -> np.ndarray:
    """A float32 matrix as it travels: numpy's, in one piece."""
    return np.ascontiguousarray(found, np.float32)
