"""The bench measures what it says; no test asks how fast."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from veilflow.pipelines.bench import split
from veilflow.pipelines.bench.split_data import TABLES, available, load_part


def write_tables(folder: Path, rows: int = 200) -> None:
    rng = np.random.default_rng(0)
    for mine, yours, label in TABLES.values():
        x = rng.normal(size=(rows, 4))
        ids = rng.permutation(rows)
        (folder / mine).parent.mkdir(parents=True)
        frame = pd.DataFrame({"id": ids, label: np.where(x[:, 0] + x[:, 2] > 0, 2, 0), "a": x[:, 0], "b": x[:, 1]})
        frame.to_csv(folder / mine, index=False)
        order = rng.permutation(rows)
        other = pd.DataFrame({"id": ids, "c": x[:, 2], "d": 0.0}).iloc[order]
        other.to_csv(folder / yours, index=False)


def test_parts_of_a_table_fit_together_row_by_row(tmp_path: Path) -> None:
    write_tables(tmp_path)
    assert available(tmp_path) == list(TABLES)
    mine, yours = (load_part(tmp_path, "dvisits", "token", label) for label in (True, False))
    assert (len(mine.train), len(mine.test)) == (160, 40) == (len(yours.train), len(yours.test))
    assert mine.train_label is not None
    signal = mine.train[:, 0] + yours.train[:, 0]
    assert np.corrcoef(signal, mine.train_label)[0, 1] > 0.7
    np.testing.assert_allclose(mine.train.mean(0), 0, atol=1e-5)
    assert not yours.train[:, 1].any(), "a constant column becomes 0"
    other = load_part(tmp_path, "dvisits", "another token", True)
    assert (other.train_label != mine.train_label).any()


def test_centralised_training_learns(tmp_path: Path) -> None:
    write_tables(tmp_path)
    assert split.central_auc(tmp_path, "dvisits", "token", 10, 32) > 0.9


@pytest.mark.cluster
def test_every_release_is_measured_against_centralised_training(veilflow_cluster: Any) -> None:
    results = split.throughput(veilflow_cluster._simulation.call, 128, 32, 3)
    speeds = {each.case: each for each in results if each.metric == "throughput"}
    assert len(speeds) == 4
    central = next(each.value for case, each in speeds.items() if case.startswith("centralised"))
    for case, each in speeds.items():
        assert each.value > 0
        if not case.startswith("centralised"):
            assert each.ratio == pytest.approx(each.value / central)
    traffic = {each.case: each.value for each in results if each.metric.startswith("traffic")}
    per_example = next(value for case, value in traffic.items() if case.startswith("per_example"))
    assert 2 * 16 * 4 < per_example < 4 * 16 * 4 + 200, "an embedding and a gradient of 16 floats per row"
    assert all(value > 1000 for case, value in traffic.items() if case.startswith("summed"))


@pytest.mark.cluster
def test_both_releases_come_close_to_centralised_training(veilflow_cluster: Any, tmp_path: Path) -> None:
    write_tables(tmp_path, 4000)  # the default epsilon needs rows
    results = split.accuracy(veilflow_cluster._simulation.call, tmp_path, "dvisits", 15, 800)
    assert [each.metric for each in results] == ["AUC"] * 3
    assert all(each.value > 0.85 for each in results)
