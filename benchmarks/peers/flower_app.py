"""Plain FedAvg in Flower's simulation with our compiled pass: `python flower_app.py --data FOLDER --out FOLDER`.

The fast path: rows in the memory of the actors, a whole local pass as one compiled program.
"""

import flower_rounds
import model
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

client, server = ClientApp(), ServerApp()


@client.train()
def train(message: Message, context: Context) -> Message:
    """One client's share of a round."""
    folder, number = message.content["config"]["data"], int(context.node_config["partition-id"])
    (vector,) = message.content["arrays"].to_numpy_ndarrays()
    after, loss, rows = model.train(folder, number, vector, int(message.content["config"]["server-round"]))
    figures = MetricRecord({"loss": loss, "num-examples": rows})
    return Message(RecordDict({"arrays": ArrayRecord([after]), "metrics": figures}), reply_to=message)


@server.main()
def main(grid: Grid, context: Context) -> None:
    """All rounds."""
    flower_rounds.serve(grid, CHOSEN, [model.initial()], {"data": ARGUMENTS.data}, ARGUMENTS.out)


if __name__ == "__main__":
    ARGUMENTS = flower_rounds.arguments()
    CHOSEN = model.task(ARGUMENTS.data)
    flower_rounds.simulate(server, client, CHOSEN["clients"])
