"""What the coordinator does with a round's mean update: FedAvg, FedAdam, FedYogi.

Reference  Reddi et al. 2021, "Adaptive Federated Optimization", algorithm 2. FedAvg is `rate` 1 of plain addition.
"""

from dataclasses import dataclass

import numpy as np

from veilflow.components.horizontal.fedavg.settings import Server

_FIRST, _SECOND, _TAU = 0.9, 0.99, 1e-3


@dataclass(frozen=True)
class ServerState:
    """Global parameters and the optimiser's memory, each float32 of shape (d,)."""

    params: np.ndarray
    first: np.ndarray
    second: np.ndarray


def start(params: np.ndarray) -> ServerState:
    """Before the first round."""
    return ServerState(params, np.zeros_like(params), np.full_like(params, _TAU**2))


def step(state: ServerState, update: np.ndarray, settings: Server) -> ServerState:
    """The state after a round whose weighted mean update (new minus old parameters) is ``update``."""
    if settings.optimiser == "fedavg":
        return ServerState((state.params + settings.rate * update).astype(np.float32), state.first, state.second)
    first = _FIRST * state.first + (1 - _FIRST) * update
    square = update * update
    if settings.optimiser == "fedyogi":
        second = state.second - (1 - _SECOND) * square * np.sign(state.second - square)
    else:
        second = _SECOND * state.second + (1 - _SECOND) * square
    params = state.params + settings.rate * first / (np.sqrt(second) + _TAU)
    return ServerState(params.astype(np.float32), first.astype(np.float32), second.astype(np.float32))
