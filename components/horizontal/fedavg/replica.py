"""The global model as everybody holds it: each party applies the public sum of a round itself.

So nobody has to send the model around, and what travels back to the clients is as short as what they sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from veilflow.components.horizontal.fedavg import server
from veilflow.components.horizontal.fedavg.codec import Code, Share, code_of, decode, mask_of
from veilflow.components.horizontal.fedavg.settings import Settings
from veilflow.components.privacy.sparsify import Feedback


@dataclass(frozen=True)
class Replica:
    """The server's state, the last noised mean update (dense, zeros before the first round), and the model to keep."""

    state: server.ServerState
    last: np.ndarray
    served: np.ndarray
    """What is judged, stored and used: the parameters, or their running mean over rounds (`Server.average`)."""
    memory: np.ndarray
    """What error feedback has not applied yet, float64, shape (d,); empty without it."""
    rows: np.ndarray
    """Of each parameter the row that it is part of, int64, shape (d,); see `layout.row_numbers`."""

    @property
    def params(self) -> np.ndarray:
        """The common parameters, float32, shape (d,)."""
        return self.state.params


def replica(params: np.ndarray, settings: Settings, rows: np.ndarray | None = None) -> Replica:
    """Before the first round.

    Args:
        rows: see `Replica`; None: every parameter is a row of its own.
    """
    memory = np.zeros(params.size if settings.compress.feedback else 0, np.float64)
    rows = np.arange(params.size) if rows is None else rows
    return Replica(server.start(params), np.zeros_like(params), params, memory, rows)


def mask_at(held: Replica, settings: Settings, seed: bytes, number: int) -> np.ndarray | None:
    """The coordinates that travel in round ``number``; the same at everybody."""
    return mask_of(settings, held.params.size, seed, number, held.last, held.rows)


def code_at(
    held: Replica, settings: Settings, clients: int, seed: bytes, number: int, noise: float, bound: float
) -> Code:
    """How updates travel in round ``number``; the same at everybody. See `code_of`."""
    return code_of(settings, held.params.size, clients, seed, number, noise, bound, held.last, held.rows)


def advance(
    held: Replica, settings: Settings, code: Code, number: int, total: np.ndarray, shares: Mapping[str, Share]
) -> Replica:
    """The replica after round ``number`` with the sum ``total`` of the clients' updates (votes are no part of it)."""
    mean = decode(code, total, shares)
    applied, memory = fed_back(held.memory, mean, code.mask, settings)
    state, share = server.step(held.state, applied, settings.server), settings.server.average
    # In early rounds a plain mean: the first model of all should not count for long.
    share = max(share, 1 / (number + 1)) if share else 1.0
    served = (share * state.params + (1 - share) * held.served).astype(np.float32)
    return Replica(state, mean, served, memory, held.rows)


def fed_back(
    memory: np.ndarray, mean: np.ndarray, mask: np.ndarray | None, settings: Settings
) -> tuple[np.ndarray, np.ndarray]:
    """What is applied to the model now, and what is left for later: of noised means only, so it costs no budget."""
    share = settings.compress.feedback
    if not share:
        return mean, memory
    where = np.arange(mean.size) if mask is None else mask
    feedback = Feedback(mean.size)
    feedback.memory = memory.copy()
    applied = feedback.step(mean[where], where, max(1, round(share * len(where))))
    return applied.astype(np.float32), feedback.memory


Arrays = dict[str, np.ndarray]


def to_arrays(held: Replica) -> Arrays:
    """For a checkpoint."""
    kept = {name: value for name, value in vars(held).items() if name != "state"}
    return {**vars(held.state), **kept}


def from_arrays(arrays: Arrays) -> Replica:
    """The inverse of `to_arrays`."""
    state = server.ServerState(arrays["params"], arrays["first"], arrays["second"])
    return Replica(state, arrays["last"], arrays["served"], arrays["memory"], arrays["rows"])
