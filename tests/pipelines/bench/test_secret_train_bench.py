"""The bench measures what it says; no test asks how fast. On real tables the AUC is that of plain training."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from veilflow.pipelines.bench import secret_train
from veilflow.pipelines.bench.split_data import TABLES

DATA = Path(__file__).parents[4] / "shared" / "data"


def write_tables(folder: Path) -> None:
    rng = np.random.default_rng(0)
    mine, yours, label = TABLES["dvisits"]
    x = rng.normal(size=(400, 4))
    (folder / mine).parent.mkdir(parents=True)
    pd.DataFrame({"id": range(400), label: (x[:, 0] + x[:, 2] > 0) * 2, "a": x[:, 0], "b": x[:, 1]}).to_csv(
        folder / mine, index=False
    )
    pd.DataFrame({"id": range(400), "c": x[:, 2], "d": x[:, 3]}).to_csv(folder / yours, index=False)


@pytest.mark.cluster
def test_every_trainer_is_measured_against_secretflows_ss_sgd(veilflow_cluster: Any) -> None:
    cases = secret_train.CASES[:2]
    results = secret_train.throughput(veilflow_cluster._simulation.call, 256, 64, 3, 2, cases)
    speeds = {each.case.split(",")[0]: each for each in results if each.metric == "throughput"}
    assert speeds["secret_train"].ratio == pytest.approx(speeds["secret_train"].value / speeds["ss_sgd"].value)
    assert speeds["ss_sgd"].ratio is None
    areas = [each.value for each in results if each.metric.startswith("AUC")]
    assert areas[0] == pytest.approx(areas[1], abs=0.02)
    assert min(areas) > 0.6
    ours = next(each for each in results if each.metric.startswith("traffic"))
    assert ours.value > 344, "at least the sigmoid's bytes"


@pytest.mark.cluster
def test_accuracy_is_compared_on_rows_that_neither_side_trained_on(veilflow_cluster: Any, tmp_path: Path) -> None:
    write_tables(tmp_path)
    plain, ours = secret_train.accuracy(veilflow_cluster._simulation.call, tmp_path, "dvisits", 8, 32)
    assert plain.value > 0.97
    assert ours.value == pytest.approx(plain.value, abs=0.02)


@pytest.mark.cluster
@pytest.mark.shared_data
@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data, which is not part of the project")
@pytest.mark.parametrize("table", list(TABLES))
def test_auc_on_real_tables_is_within_five_thousandths_of_plain_training(veilflow_cluster: Any, table: str) -> None:
    plain, ours = secret_train.accuracy(veilflow_cluster._simulation.call, DATA, table, 10, 512)
    assert ours.value == pytest.approx(plain.value, abs=0.005)
