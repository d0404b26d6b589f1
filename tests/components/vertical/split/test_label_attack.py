"""Labels read off the opened sums: by how little at the defaults, and how well where the noise is as small as it was.

Labels are random, so there is nothing to learn: whatever tells them was given away. The feature party is given more
than it has in a run, all parameters and every row's probability, and solves its opened sums for the labels.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from veilflow.components.privacy.gaussian_dp import attack_auc, mu_for
from veilflow.components.training.batches import batch_size, batches, epoch_order, order_token
from veilflow.components.training.history import auc
from veilflow.components.vertical.split import top
from veilflow.components.vertical.split.account import noise_for
from veilflow.components.vertical.split.arithmetic import PLAIN
from veilflow.components.vertical.split.model import Dense
from veilflow.components.vertical.split.owner import apply_opened, make_owner, step_feeds
from veilflow.components.vertical.split.programs import (
    Holder,
    TopOptimiser,
    release_program,
    released_length,
    update_program,
)
from veilflow.components.vertical.split.settings import DELTA, EPSILON, Optimiser

HOSPITAL, INSURER = "hospital", "insurer"
BOTTOM, TOP = Dense((16,), "relu"), Dense((16,), "relu")
CLIP, EPOCHS = 2.0, 20
WAS = 0.5
"""The multiplier of what was the default: noise 1 on gradients of which a label moved twice the clip."""


class Observed:
    """A training on random labels as the programs run it, and what the insurer gets of it."""

    def __init__(self, rows: int, wanted: int, noise: float, own_columns: bool = False) -> None:
        rng = np.random.default_rng(11)
        columns = np.eye(rows, dtype=np.float32) * 8 if own_columns else rng.normal(size=(rows, 10))
        self.label = (rng.random(rows) < 0.5).astype(np.float32)
        self.x = {HOSPITAL: rng.normal(size=(rows, 10)).astype(np.float32), INSURER: columns.astype(np.float32)}
        self.holders = [Holder(party, x.shape[1], BOTTOM) for party, x in self.x.items()]
        self.owners = {
            party: make_owner(x, self.label if party == HOSPITAL else None, BOTTOM, Optimiser("adam", 0.01), rng)
            for party, x in self.x.items()
        }
        self.width = sum(h.width for h in self.holders)
        length = released_length(self.holders, TOP)
        size, optimiser = batch_size(rows, wanted, 32), TopOptimiser("momentum", 0.1)
        release = release_program(self.holders, TOP, CLIP, tuple(self.x), PLAIN)
        update = update_program(size, optimiser)
        release_step, update_step = jax.jit(release.fn), jax.jit(update.fn)
        flat = top.init_top(self.width, TOP, rng)
        state = {"top": flat, "velocity": np.zeros_like(flat), "trained": np.zeros(1, np.float32)}
        self.normal, self.right = np.zeros((rows, rows)), np.zeros(rows)
        for _ in range(EPOCHS):
            for batch in batches(epoch_order([order_token()], rows), size):
                feeds = {}
                for party, owner in self.owners.items():
                    feeds |= step_feeds(owner, party, batch, length, noise * CLIP)
                given = state | feeds
                found = dict(zip(release.outputs, release_step(*(given[n] for n in release.inputs)), strict=True))
                self._look(batch, found[f"{INSURER}/gradient"], state["top"], feeds[f"noise/{INSURER}"])
                given = state | found
                made = zip(update.outputs, update_step(*(given[n] for n in update.inputs)), strict=True)
                state |= dict(made)
                for party in self.x:
                    flat = np.asarray(found[f"{party}/gradient"])
                    self.owners[party] = apply_opened(self.owners[party], flat, size)

    def _look(self, batch: np.ndarray, opened: np.ndarray, flat: np.ndarray, own_noise: np.ndarray) -> None:
        """Collects the normal equations of ``opened - noise of my own = sum of (probability - label) * J``."""
        params = tuple(self.owners[party].params for party in self.x)
        logits, own, norms = _jacobians(self.width, params, flat, *(x[batch] for x in self.x.values()))
        scaled = np.asarray(own) * np.minimum(1, CLIP / np.asarray(norms))[:, None]
        mine = own_noise[-len(flat) - scaled.shape[1] :][: scaled.shape[1]] / 2.0**18
        rest = expit(np.asarray(logits)) @ scaled - (np.asarray(opened) - mine)
        self.normal[np.ix_(batch, batch)] += scaled @ scaled.T
        self.right[batch] += scaled @ rest

    def recovered(self) -> float:
        """AUC of the labels in the least-squares solution, slightly regularised."""
        ridge = 1e-2 * np.trace(self.normal) / len(self.label)
        return auc(self.label, np.linalg.solve(self.normal + ridge * np.eye(len(self.label)), self.right))


@partial(jax.jit, static_argnums=0)
def _jacobians(width, params, flat, hospital, insurer):
    """Per row the logit, J by the insurer's bottom in released order, and the norm of all of J."""

    def logit(params, flat, rows):
        parts = [jax.nn.relu(x @ p[0]["kernel"] + p[0]["bias"]) for p, x in zip(params, rows, strict=True)]
        return top.forward(top.unpack(flat, width, TOP), "relu", jnp.concatenate(parts)[None]).logits[0]

    def one(*rows):
        value, (bottoms, other) = jax.value_and_grad(logit, (0, 1))(params, flat, rows)
        first, second = (jnp.concatenate([b[0]["kernel"], b[0]["bias"][None]]).reshape(-1) for b in bottoms)
        return value, second, jnp.linalg.norm(jnp.concatenate([first, second, other]))

    return jax.vmap(one)(hospital, insurer)


def usual(epochs: int = EPOCHS) -> float:
    return noise_for(EPSILON, DELTA, epochs)


@pytest.mark.parametrize("rows, batch, own_columns", [(400, 64, False), (400, 1024, False), (300, 64, True)])
def test_at_the_default_epsilon_labels_stay_within_what_it_allows(rows: int, batch: int, own_columns: bool) -> None:
    found = Observed(rows, batch, usual(), own_columns).recovered()
    scatter = 3 * 0.289 * np.sqrt(4 / rows)  # of an AUC near 0.5 with half of the rows positive
    assert found <= attack_auc(mu_for(EPSILON, DELTA)) + scatter
    if batch > rows:
        assert found <= 0.62, "ordinary columns and large batches stay far below the bound"


@pytest.mark.parametrize("rows, batch, own_columns, least", [(400, 64, False, 0.85), (300, 64, True, 0.9)])
def test_with_the_noise_that_was_the_default_labels_are_read(
    rows: int, batch: int, own_columns: bool, least: float
) -> None:
    assert Observed(rows, batch, WAS, own_columns).recovered() >= least
