"""At real parties: noise and bounds that follow the sums, error feedback, training of what travels."""

import importlib.util
import itertools
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.cluster

_SPEC = importlib.util.spec_from_file_location("fedavg_tables", Path(__file__).with_name("test_fedavg_on_cluster.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
tables = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(tables)

PIPELINE = (
    tables.HEAD
    + """
  stats: {{uses: data/federated_stats, needs: {{tables: [one.table, two.table]}}}}
  train:
    uses: horizontal/fedavg_train
    needs: {{tables: [one.table, two.table], clean: stats.clean, scale: stats.scale}}
    with:
      net: {{kind: logistic}}
      batch_size: 128
      {extra}
"""
)

FOLLOWING = """rounds: 20
      privacy: {unit: client, schedule: adaptive, noise: 2.0, noise_last: 6.0, epsilon: 5.5, adaptive_clip: 0.5,
                vote_noise: 8.0}
      server: {optimiser: fedadam, learning_rate: 0.05}"""

MASKED = """rounds: 4
      compress: {keep: 0.5, feedback: 0.5}
      privacy: {unit: record, epsilon: 8, delta: 0.0005, adaptive_clip: 0.7, schedule: by_round,
                by_round: ["1:3.0", "3:2.0"]}
      secure_sum: {backend: packed_he}"""


def run_of(veilflow_cluster: Any, folder: Path, extra: str) -> tuple[Any, dict[str, Any], dict[str, list[Any]]]:
    tables.write_tables(folder)
    run = veilflow_cluster.run(PIPELINE.format(folder=folder, extra=extra), folder)
    assert run.error is None, run.error
    step = tables.node(run, "train")
    receipts = {(each.protection, each.party): each.parameters for each in step.receipts}
    budget = next(each for each in step.report if each.name == "budget").values
    return receipts, budget, tables.tab(run, "train", "history")


def test_noise_and_bound_of_whole_updates_follow_and_end_with_the_budget(veilflow_cluster: Any, tmp_path: Path) -> None:
    receipts, budget, history = run_of(veilflow_cluster, tmp_path, FOLLOWING)
    rounds = len(history["round"])
    assert 1 < rounds < 20, "epsilon 5.5 does not last for twenty rounds"
    assert budget["ended"].startswith(f"after {rounds} of 20 rounds")
    assert 3.0 < budget["epsilon"] <= 5.5
    assert budget["unit"] == "client"
    assert history["noise"][0] == 2.0
    assert all(2.0 <= each <= 6.0 for each in history["noise"])
    assert history["clip"][0] == 10.0
    assert all(before != after for before, after in itertools.pairwise(history["clip"])), "the bound moves"
    for party in ("hospital", "insurer"):
        assert receipts["update_norm", party]["largest"] == pytest.approx(max(history["clip"]), rel=1e-6)
        assert receipts["update_norm", party]["smallest"] == pytest.approx(min(history["clip"]), rel=1e-6)
        assert receipts["noise", party]["multiplier"] == min(history["noise"])


def test_what_travels_is_trained_and_the_server_remembers_the_rest(veilflow_cluster: Any, tmp_path: Path) -> None:
    receipts, budget, history = run_of(veilflow_cluster, tmp_path, MASKED)
    assert len(history["round"]) == 4
    assert 0 < budget["epsilon"] <= 8
    for party in ("hospital", "insurer"):
        # 4 epochs of 4 or 6 steps of about 128 rows, on 2 of the 5 parameters
        steps = {"hospital": 4 * 4, "insurer": 4 * 6}[party]
        assert receipts["noise", party]["drawn_here"] == steps * 2
        assert receipts["noise", party]["multiplier"] == 2.0
        assert receipts["common_mask", party]["keep"] == 0.5
        assert receipts["clip", party]["largest"] == pytest.approx(max(history["clip"]), rel=1e-6)
    assert history["clip"][0] == pytest.approx(0.5**0.5)
