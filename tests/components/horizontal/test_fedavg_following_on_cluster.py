"""At real parties: noise and bounds that follow the sums, error feedback, training of what travels."""

import importlib.util
from itertools import pairwise
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

FOLLOWING = """rounds: 8
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
    assert 1 < rounds < 8, "epsilon 5.5 does not last for eight rounds"
    assert budget["ended"].startswith(f"after {rounds} of 8 rounds")
    assert 3.0 < budget["epsilon"] <= 5.5
    assert budget["unit"] == "client"
    assert history["noise"][0] == 2.0
    assert all(2.0 <= each <= 6.0 for each in history["noise"])
    assert history["clip"][0] == 10.0
    # Few clients' votes are mostly noise: the bound goes up or down, and may come back to where it was.
    assert all(one != other for one, other in pairwise(history["clip"])), "the bound moves"
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


WHOLE = """rounds: 3
      privacy: {unit: client, noise: 4.0, epsilon: 20, colluding: 1}
      guard: {update_norm: 2.0, bits: 14}"""

FEW_BITS = """rounds: 4
      compress: {keep: 0.6}
      guard: {bits: 6}
      privacy: {unit: record, noise: 1.0, epsilon: 50, delta: 0.0005}"""


def test_of_two_clients_each_adds_all_the_noise_however_few_talk(veilflow_cluster: Any, tmp_path: Path) -> None:
    receipts, budget, history = run_of(veilflow_cluster, tmp_path, WHOLE)
    assert len(history["round"]) == 3
    assert budget["noise multiplier"] == 4.0
    for party in ("hospital", "insurer"):
        assert receipts["noise", party]["colluding"] == 1
        assert receipts["noise", party]["multiplier"] == receipts["noise", party]["multiplier_with_others"] == 4.0
        assert receipts["noise", party]["vectors"] == 3
        assert receipts["update_norm", party]["bits"] == 14
        assert receipts["secure_sum", party]["ring_bits"] == 15


def test_a_round_of_few_bits_is_one_message_there_and_one_back(veilflow_cluster: Any, tmp_path: Path) -> None:
    tables.write_tables(tmp_path)
    run = veilflow_cluster.run(PIPELINE.format(folder=tmp_path, extra=FEW_BITS), tmp_path)
    assert run.error is None, run.error
    step = tables.node(run, "train")
    sent = {
        (each.what, each.sender, each.to): each for each in step.sent if each.what in ("masked vector", "public sum")
    }
    bank = ("hospital", "insurer")
    wanted = {("masked vector", party, "coordinator") for party in bank}
    assert set(sent) == wanted | {("public sum", "coordinator", party) for party in bank}
    for each in sent.values():
        assert each.objects == 4
        # 3 of 5 coordinates of 7 bits: 3 bytes, and at most 40 of the codec
        assert each.bytes <= 4 * (3 + 40)
    for party in bank:
        said = [each.objects for each in step.sent if (each.what, each.sender) == ("published", party)]
        assert max(said) < 12, "nothing is published in a round"
    receipts = {(each.protection, each.party): each.parameters for each in step.receipts}
    assert receipts["secure_sum", "hospital"]["ring_bits"] == 7
    assert receipts["update_norm", "hospital"]["saturated_here"] >= 0
