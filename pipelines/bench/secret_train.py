"""How fast a logistic regression trains inside the SPU, against SecretFlow's own trainers on the same rows.

Throughput  rows x epochs per second, from plain columns at two holders to a trained model in shares: sharing, compiling
            and all steps. Bytes per row sent by all parties. Every trainer once to warm up, then once measured.
Accuracy    test AUC on real tables where their files are there, against scikit-learn on the joined rows.
"""

import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from veilflow.pipelines.bench.result import Result
from veilflow.pipelines.bench.split import DATA

_PARTIES = ["hospital", "insurer", "coordinator"]
_PARTY_SIDE = "veilflow.pipelines.bench.secret_train_party"
OURS, BASELINE = "secret_train", "ss_sgd, t1 sigmoid"
CASES = (OURS, BASELINE, "ss_sgd, real sigmoid", "ss_glm, sgd")


def run(rows: int | None = None, batch: int = 512, features: int = 14, epochs: int = 3) -> list[Result]:
    """Measure.

    Args:
        rows: for throughput, 40 batches by default.
        batch: rows per step.
        features: columns at each of two parties.
        epochs: for throughput; the AUC on real tables is measured after 10.
    """
    from veilflow.pipelines.bench.split_data import available
    from veilflow.pipelines.launch.simulation import Simulation

    rows = max(batch, (rows or 40 * batch) // batch * batch)
    with tempfile.TemporaryDirectory(prefix="veilflow-bench-") as folder, Simulation(Path(folder), _PARTIES) as parties:
        results = throughput(parties.call, rows, batch, features, epochs)
        for table in available(DATA):
            results += accuracy(parties.call, DATA, table, 10, batch)
    return results


def throughput(
    call: Callable[..., dict[str, Any]], rows: int, batch: int, features: int, epochs: int, cases: Any = CASES
) -> list[Result]:
    """Speed, traffic and training AUC of every trainer; SecretFlow's faster ss_sgd is the baseline."""
    seed = secrets.randbits(32)
    found = {}
    for case in cases:
        call(f"{_PARTY_SIDE}:throughput", case, seed, batch * 2, batch, features, 1)
        sides = call(f"{_PARTY_SIDE}:throughput", case, seed, rows, batch, features, epochs)
        seconds, sent = max(s["seconds"] for s in sides.values()), sum(s["bytes"] for s in sides.values())
        found[case] = (rows * epochs / seconds, sent / rows / epochs, next(iter(sides.values()))["auc"])
    results = []
    base = found.get(BASELINE)
    for case, (speed, traffic, area) in found.items():
        name = f"{case}, batch {batch}, {features}+{features} features, {epochs} epochs"
        ratios = (None, None) if base is None or case == BASELINE else (speed / base[0], traffic / base[1])
        results.append(Result(name, "throughput", "rows/s", speed, base and BASELINE, ratios[0]))
        results.append(Result(name, "traffic, all parties", "bytes/row", traffic, base and BASELINE, ratios[1]))
        results.append(Result(name, "AUC on its rows", "", area))
    return results


def accuracy(call: Callable[..., dict[str, Any]], folder: Path, table: str, epochs: int, batch: int) -> list[Result]:
    """Test AUC of ours on a real table, and of plain logistic regression on the joined rows."""
    token = secrets.token_hex(16)
    central = central_auc(folder, table, token)
    found = call(f"{_PARTY_SIDE}:accuracy", str(folder), table, token, epochs, batch)
    value = float(next(iter(found.values()))["auc"])
    plain = "scikit-learn, joined rows"
    return [
        Result(f"{plain}, {table}", "AUC", "", central),
        Result(f"{OURS}, {table}, {epochs} epochs", "AUC", "", value, plain, value / central),
    ]


def central_auc(folder: Path, table: str, token: str) -> float:
    """Test AUC where one process holds all columns."""
    from sklearn.linear_model import LogisticRegression

    from veilflow.components.training.history import auc
    from veilflow.pipelines.bench.split_data import load_part

    one, other = (load_part(folder, table, token, label) for label in (True, False))
    assert one.train_label is not None
    assert one.test_label is not None
    model = LogisticRegression(max_iter=1000)
    model.fit(np.concatenate([one.train, other.train], axis=1), one.train_label)
    return auc(one.test_label, model.decision_function(np.concatenate([one.test, other.test], axis=1)))
