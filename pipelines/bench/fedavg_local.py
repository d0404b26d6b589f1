"""A federation in one process, from the very kernels that run at the parties: for figures that need no link."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from veilflow.components.horizontal.fedavg import bounds, weights
from veilflow.components.horizontal.fedavg import judge as judging
from veilflow.components.horizontal.fedavg import replica as copies
from veilflow.components.horizontal.fedavg.arrays import Data
from veilflow.components.horizontal.fedavg.client import Client, common, encode, follow, learn, logits, make_client
from veilflow.components.horizontal.fedavg.codec import shares_of
from veilflow.components.horizontal.fedavg.layout import row_numbers
from veilflow.components.horizontal.fedavg.settings import ModelSpec, Settings
from veilflow.components.training.history import auc, log_loss
from veilflow.components.training.tally import Tally


@dataclass(frozen=True)
class Quality:
    """Of a model on rows it has not seen; accuracy at the threshold 0.5."""

    loss: float
    auc: float
    accuracy: float


class Federation:
    """Clients, a coordinator and, with ``reference``, a judge.

    Args:
        data: ``(x, y)`` per client.
        noises: multiplier per round; empty without privacy.
    """

    def __init__(
        self,
        spec: ModelSpec,
        settings: Settings,
        data: Mapping[str, Data],
        noises: list[float],
        reference: Data | None = None,
        seed: int | None = None,
    ) -> None:
        rng = np.random.default_rng(secrets.randbits(128) if seed is None else seed)
        shape = next(iter(data.values()))[0].shape[1:]
        self.settings, self._noises = settings, noises
        first = make_client(spec, settings, None, shape, rng)
        self.clients = {p: Client(spec, settings, rows, first.params, first.stats) for p, rows in data.items()}
        self._judge = Client(spec, settings, reference, first.params, first.stats)
        self.copy = copies.replica(common(first), settings, row_numbers(first.layout.shapes))
        self.bounds = bounds.first(settings)
        sizes = {party: len(rows[1]) for party, rows in data.items()}
        self.weights = weights.starting(sizes, settings.weighting.by, settings.weighting)
        self._memory: dict[str, float] = {}
        self._seed, self._tally = secrets.token_bytes(16), Tally()

    def round(self, number: int) -> None:
        """One round of everybody."""
        settings, noise = self.settings, self._noises[number] if self._noises else 0.0
        code = copies.code_at(self.copy, settings, len(self.clients), self._seed, number, noise, self.bounds.update)
        shares = shares_of(self.weights, code.release, settings.privacy.colluding)
        vectors = {}
        for party, client in self.clients.items():
            done = learn(client, self.copy.params, noise, self._tally, code.mask, self.bounds.clip)
            self.clients[party], update, _ = done
            assert update is not None, "a bench whose training goes astray measures nothing"
            vectors[party] = encode(settings, code, update, shares[party])
        scores: dict[str, float] = {}
        size = code.release.size
        if settings.weighting.by == "contribution":
            bare = (vector[:size] for vector in vectors.values())
            opinion = judging.examine(self._judge, self.copy.params, code, shares, *bare)
            scores = opinion["scores"]
            shares = {party: share for party, share in shares.items() if party not in opinion["faults"]}
        total = np.sum([vectors[party] for party in shares], axis=0)
        self.copy = copies.advance(self.copy, settings, code, number, total[:size], shares)
        self.bounds, _ = bounds.after(self.bounds, settings, code.release, total, shares)
        if scores:
            rule = settings.weighting
            self._memory = weights.remembered(self._memory, scores, rule.memory)
            self.weights = weights.bounded(self._memory, rule.smallest, rule.largest)

    def quality(self, rows: Data) -> Quality:
        """The global model on ``rows``."""
        return quality(follow(self._judge, self.copy.served), rows)


def quality(client: Client, rows: Data) -> Quality:
    """A model on ``rows``."""
    found: Any = logits(client, rows[0])
    right = float(np.mean((found > 0) == (rows[1] > 0.5)))
    return Quality(log_loss(rows[1], found), auc(rows[1], found), right)
