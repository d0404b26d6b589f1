"""The common task of `bench peers`: the same rows, network and settings for every side, and what a model is worth.

A folder holds, per bank, ``bank_N.parquet`` for us and ``bank_N_x.npy``, ``bank_N_y.npy`` for the others (arrays as
they take them, which spares them a parser), ``task.json`` for the others and ``BACKEND.yaml`` for us.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from veilflow.components.training.history import auc
from veilflow.datasets.generators import three_banks

CLIENTS = 3
BACKENDS = ("plain", "masks")
_SHIFT = 0.3
_TEST_ROWS = 20_000
Model = Mapping[str, np.ndarray]
"""``Dense_0/kernel`` (28 x 64), ``Dense_0/bias`` and so on for three layers."""


@dataclass(frozen=True)
class Task:
    """Plain FedAvg with SGD; ``rows`` of all banks together."""

    rows: int = 300_000
    rounds: int = 20
    batch: int = 512
    epochs: int = 1
    rate: float = 0.1
    clients: int = CLIENTS

    @property
    def share(self) -> int:
        """Rows of a bank."""
        return max(2, self.rows // self.clients)


def write(task: Task, folder: Path, seed: int) -> None:
    """Everything that the sides read."""
    for number in range(1, task.clients + 1):
        frame = three_banks.part(f"bank_{number}", task.share, seed, shift=_SHIFT).drop(columns=["customer"])
        frame.to_parquet(folder / f"bank_{number}.parquet")
        x, y = frame.drop(columns=["default"]), frame["default"]
        np.save(folder / f"bank_{number}_x.npy", x.to_numpy(np.float32))
        np.save(folder / f"bank_{number}_y.npy", y.to_numpy(np.float32))
    (folder / "task.json").write_text(json.dumps(asdict(task)))
    for backend in BACKENDS:
        (folder / f"{backend}.yaml").write_text(pipeline(task, backend))


def pipeline(task: Task, backend: str) -> str:
    """Our side as a pipeline file, in JSON, which is YAML; paths are relative to the folder."""
    banks = [f"bank_{number}" for number in range(1, task.clients + 1)]
    nodes: dict[str, object] = {
        f"{bank}_rows": {
            "uses": "data/read_table",
            "with": {"party": bank, "path": f"{bank}.parquet", "label": "default"},
        }
        for bank in banks
    }
    nodes["train"] = {
        "uses": "horizontal/fedavg_train",
        "needs": {"tables": [f"{bank}_rows.table" for bank in banks]},
        "with": {
            "net": {"kind": "mlp", "layers": [64, 32]},
            "rounds": task.rounds,
            "local_epochs": task.epochs,
            "batch_size": task.batch,
            "learning_rate": task.rate,
            "privacy": {"unit": "none"},
            "weights": {"by": "size"},
            "secure_sum": {"backend": backend},
        },
    }
    document = {"version": 1, "name": "peers", "parties": [*banks, "coordinator"], "devices": {}, "nodes": nodes}
    return json.dumps(document, indent=1)


def quality(model: Model, seed: int) -> tuple[float, float]:
    """Mean loss and AUC on rows of all three banks that nobody trained on."""
    frame = three_banks.part("test", _TEST_ROWS, seed, shift=_SHIFT)
    label = frame["default"].to_numpy(np.float64)
    logit = forward(model, frame.drop(columns=["customer", "default"]).to_numpy(np.float64))
    return float(np.mean(np.logaddexp(0, logit) - label * logit)), auc(label, logit)


def forward(model: Model, x: np.ndarray) -> np.ndarray:
    """Logits in plain numpy, whoever trained the model; shape (rows,)."""
    for layer in ("Dense_0", "Dense_1"):
        x = np.maximum(x @ model[f"{layer}/kernel"] + model[f"{layer}/bias"], 0)
    found: np.ndarray = (x @ model["Dense_2/kernel"] + model["Dense_2/bias"])[:, 0]
    return found
