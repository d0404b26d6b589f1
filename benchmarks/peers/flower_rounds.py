"""What both Flower sides share: the message API's FedAvg with a clock, and the start of the simulation.

No evaluation rounds, an actor per client and an equal share of the processors each.
"""

import argparse
import os
from pathlib import Path
from typing import Any

import model
import numpy as np
from flwr.app import ArrayRecord, ConfigRecord
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation


def arguments() -> argparse.Namespace:
    """``data``, absolute since actors work elsewhere, and ``out``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, type=lambda folder: str(Path(folder).resolve()))
    parser.add_argument("--out", required=True)
    return parser.parse_args()


class Timed(FedAvg):
    """FedAvg that notes when a round begins."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.starts: list[float] = []

    def configure_train(self, server_round: int, *args: Any, **named: Any) -> Any:
        """What is sent to the clients."""
        self.starts.append(model.now())
        return super().configure_train(server_round, *args, **named)


def serve(grid: Grid, chosen: dict[str, Any], initial: list[np.ndarray], config: dict[str, Any], out: str) -> None:
    """All rounds, then the model on disk.

    Args:
        initial: the parameters' arrays in the order of the tree's leaves, or all of them as one vector.
        config: what every message tells the clients.
    """
    everybody = dict.fromkeys(("min_train_nodes", "min_available_nodes"), chosen["clients"])
    strategy = Timed(fraction_evaluate=0.0, **everybody)
    result = strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord(initial),
        train_config=ConfigRecord(config),
        num_rounds=chosen["rounds"],
    )
    vector = np.concatenate([array.ravel() for array in result.arrays.to_numpy_ndarrays()])
    model.finish(out, vector, [*strategy.starts, model.now()])


def simulate(server: ServerApp, client: ClientApp, clients: int) -> None:
    """Start Ray and run."""
    os.environ.update(FLWR_TELEMETRY_ENABLED="0", RAY_USAGE_STATS_ENABLED="0")
    share = {"num_cpus": (os.cpu_count() or 1) / clients, "num_gpus": 0.0}
    run_simulation(server, client, num_supernodes=clients, backend_config={"client_resources": share})
