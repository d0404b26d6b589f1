"""SecretFlow's own secret-shared logistic regressions, as a baseline for ours: same rows, batch, epochs and rate.

They get SecretFlow's own SPU behaviour (one party compiles), not our checked one, which would slow the baseline down.
"""

import copy
from typing import Any

import numpy as np
from secretflow.data import FedNdarray, PartitionWay
from secretflow.device import PYU, SPU
from secretflow.ml.linear.ss_glm.model import SSGLM
from secretflow.ml.linear.ss_sgd.model import SSRegression

from veilflow.components.devices.pyu import run_on

TRAINERS = ("ss_sgd, t1 sigmoid", "ss_sgd, real sigmoid", "ss_glm, sgd")


def fit(trainer: str, device: SPU, parts: dict[str, Any], label: Any, **settings: Any) -> Any:
    """Train; the weights (bias last) at the label's party.

    Args:
        parts: party -> its features (rows, columns) at that party; the label's party first.
        label: (rows,) at its party.
        settings: ``epochs``, ``batch`` and ``rate``.
    """
    keeper, device = next(iter(parts)), copy.copy(device)
    device.__class__ = SPU
    x = FedNdarray({PYU(party): each for party, each in parts.items()}, PartitionWay.VERTICAL)
    y = FedNdarray({PYU(keeper): label}, PartitionWay.VERTICAL)
    epochs, batch, rate = settings["epochs"], settings["batch"], settings["rate"]
    if trainer.startswith("ss_glm"):
        glm = SSGLM(device)
        glm.fit_sgd(
            x, y, None, None, epochs, "Logit", "Bernoulli", learning_rate=rate, batch_size=batch, stopping_rounds=0
        )
        found = glm.spu_w
    else:
        model = SSRegression(device)
        kind = "t1" if "t1" in trainer else "real"
        model.fit(
            x, y, epochs, learning_rate=rate, batch_size=batch, sig_type=kind, reg_type="logistic", penalty="None"
        )
        found = model.spu_w
    return run_on(keeper, lambda w: np.asarray(w, np.float64).reshape(-1), found.to(PYU(keeper)))
