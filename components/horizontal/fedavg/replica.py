"""The global model as everybody holds it: each party applies the public sum of a round itself.

So nobody has to send the model around, and what travels back to the clients is as short as what they sent.
"""

from dataclasses import dataclass

import numpy as np

from veilflow.components.horizontal.fedavg import server
from veilflow.components.horizontal.fedavg.codec import decode, mask_of, release_of
from veilflow.components.horizontal.fedavg.settings import Settings


@dataclass(frozen=True)
class Replica:
    """The server's state, the last noised mean update (dense, zeros before the first round), and the model to keep."""

    state: server.ServerState
    last: np.ndarray
    served: np.ndarray
    """What is judged, stored and used: the parameters, or their running mean over rounds (`Server.average`)."""

    @property
    def params(self) -> np.ndarray:
        """The common parameters, float32, shape (d,)."""
        return self.state.params


def replica(params: np.ndarray) -> Replica:
    """Before the first round."""
    return Replica(server.start(params), np.zeros_like(params), params)


def mask_at(held: Replica, settings: Settings, seed: bytes, number: int) -> np.ndarray | None:
    """The coordinates that travel in round ``number``; the same at everybody."""
    return mask_of(settings, held.params.size, seed, number, held.last)


def advance(
    held: Replica, settings: Settings, seed: bytes, number: int, noise: float, total: np.ndarray, weight: int
) -> tuple[Replica, float]:
    """The replica after round ``number`` with the sum ``total``, and the L2 norm of the mean update."""
    size = held.params.size
    mean = decode(total, release_of(settings, size, noise), mask_at(held, settings, seed, number), size, weight)
    state, share = server.step(held.state, mean, settings.server), settings.server.average
    # In early rounds a plain mean: the first model of all should not count for long.
    share = max(share, 1 / (number + 1)) if share else 1.0
    served = (share * state.params + (1 - share) * held.served).astype(np.float32)
    return Replica(state, mean, served), float(np.linalg.norm(mean))


Arrays = dict[str, np.ndarray]


def to_arrays(held: Replica) -> Arrays:
    """For a checkpoint."""
    return {**vars(held.state), "last": held.last, "served": held.served}


def from_arrays(arrays: Arrays) -> Replica:
    """The inverse of `to_arrays`."""
    state = server.ServerState(arrays["params"], arrays["first"], arrays["second"])
    return Replica(state, arrays["last"], arrays["served"])
