"""Plain FedAvg in NVFlare's simulator: `python nvflare_job.py --data FOLDER --out FOLDER`.

The fast path: the FedAvg recipe in SimEnv, one thread per client, the training script inside the client's process.
"""

import argparse
import json
import shlex
from pathlib import Path

import model
import numpy as np
from nvflare.client.config import ExchangeFormat
from nvflare.fuel.utils.constants import FrameworkType
from nvflare.recipe import FedAvgRecipe, SimEnv

parser = argparse.ArgumentParser()
parser.add_argument("--data", required=True)
parser.add_argument("--out", required=True)
parser.add_argument("--interval", type=float, default=0.0, help="Seconds between requests; 0: its own 2.")


def main() -> None:
    """Run the job, then put the model where the bench looks for it."""
    arguments = parser.parse_args()
    data, out = Path(arguments.data).resolve(), Path(arguments.out).resolve()
    chosen, here = model.task(str(data)), Path(__file__).resolve().parent
    np.save(out / "initial.npy", model.initial())
    recipe = FedAvgRecipe(
        name="peers",
        min_clients=chosen["clients"],
        key_metric="loss",
        key_metric_mode="min",
        num_rounds=chosen["rounds"],
        initial_ckpt=str(out / "initial.npy"),
        train_script=str(here / "nvflare_client.py"),
        train_args=shlex.join(["--data", str(data), "--out", str(out)]),
        framework=FrameworkType.NUMPY,
        server_expected_format=ExchangeFormat.NUMPY,
    )
    if arguments.interval:
        recipe.add_server_config({"server": {"task_request_interval": arguments.interval}})
    clients = chosen["clients"]
    run = recipe.execute(SimEnv(num_clients=clients, num_threads=clients, workspace_root=str(out / "simulation")))
    run.get_status()
    (stored,) = Path(run.get_result()).rglob("server.npy")
    starts = json.loads((out / "starts_0.json").read_text())
    model.finish(str(out), np.load(stored), starts)


if __name__ == "__main__":
    main()
