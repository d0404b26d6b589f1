"""Plain FedAvg in Flower's simulation, clients as Flower documents them: same arguments as `flower_app.py`.

Follows Flower's JAX quickstart (README.md names the version): a message makes a training state, puts the received
arrays into it, gets a loader of batches, loops over them, and sends the arrays back with loss and accuracy.
"""

import flower_rounds
import model
import model_documented
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

client, server = ClientApp(), ServerApp()


@client.train()
def train(message: Message, context: Context) -> Message:
    """One client's share of a round."""
    config, number = message.content["config"], int(context.node_config["partition-id"])
    state = model_documented.fresh_state(float(config["rate"]))
    state = model_documented.with_arrays(state, message.content["arrays"].to_numpy_ndarrays())
    loader = model_documented.load(config["data"], number, int(config["batch"]), int(config["server-round"]))
    state, loss, accuracy = model_documented.train(state, loader)
    arrays = ArrayRecord(model_documented.arrays(state.params))
    figures = MetricRecord({"loss": loss, "accuracy": accuracy, "num-examples": loader.rows})
    return Message(RecordDict({"arrays": arrays, "metrics": figures}), reply_to=message)


@server.main()
def main(grid: Grid, context: Context) -> None:
    """All rounds."""
    initial = model_documented.arrays(model_documented.fresh_params())
    config = {"data": ARGUMENTS.data, "rate": CHOSEN["rate"], "batch": CHOSEN["batch"]}
    flower_rounds.serve(grid, CHOSEN, initial, config, ARGUMENTS.out)


if __name__ == "__main__":
    ARGUMENTS = flower_rounds.arguments()
    CHOSEN = model.task(ARGUMENTS.data)
    assert CHOSEN["epochs"] == 1, "the documented client makes one pass a message"
    flower_rounds.simulate(server, client, CHOSEN["clients"])
