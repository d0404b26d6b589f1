"""Plain FedAvg in Flower's simulation: `python flower_app.py --data FOLDER --out FOLDER`.

The fast path: rows in the memory of the actors, one actor per client and one processor share each, no evaluation
rounds, the message API's own FedAvg strategy.
"""

import argparse
import os
from pathlib import Path
from typing import Any

import model
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

parser = argparse.ArgumentParser()
parser.add_argument("--data", required=True)
parser.add_argument("--out", required=True)

client, server = ClientApp(), ServerApp()


@client.train()
def train(message: Message, context: Context) -> Message:
    """One client's share of a round."""
    folder, number = message.content["config"]["data"], int(context.node_config["partition-id"])
    (vector,) = message.content["arrays"].to_numpy_ndarrays()
    after, loss, rows = model.train(folder, number, vector, int(message.content["config"]["server-round"]))
    figures = MetricRecord({"loss": loss, "num-examples": rows})
    return Message(RecordDict({"arrays": ArrayRecord([after]), "metrics": figures}), reply_to=message)


class Timed(FedAvg):
    """FedAvg that notes when a round begins."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.starts: list[float] = []

    def configure_train(self, server_round: int, *args: Any, **named: Any) -> Any:
        """What is sent to the clients."""
        self.starts.append(model.now())
        return super().configure_train(server_round, *args, **named)


@server.main()
def main(grid: Grid, context: Context) -> None:
    """All rounds, then the model on disk."""
    chosen = model.task(ARGUMENTS.data)
    everybody = dict.fromkeys(("min_train_nodes", "min_available_nodes"), chosen["clients"])
    strategy = Timed(fraction_evaluate=0.0, **everybody)
    result = strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord([model.initial()]),
        train_config=ConfigRecord({"data": ARGUMENTS.data}),
        num_rounds=chosen["rounds"],
    )
    (vector,) = result.arrays.to_numpy_ndarrays()
    model.finish(ARGUMENTS.out, vector, [*strategy.starts, model.now()])


if __name__ == "__main__":
    ARGUMENTS = parser.parse_args()
    ARGUMENTS.data = str(Path(ARGUMENTS.data).resolve())
    os.environ.update(FLWR_TELEMETRY_ENABLED="0", RAY_USAGE_STATS_ENABLED="0")
    clients = model.task(ARGUMENTS.data)["clients"]
    share = {"num_cpus": (os.cpu_count() or 1) / clients, "num_gpus": 0.0}
    run_simulation(server, client, num_supernodes=clients, backend_config={"client_resources": share})
