"""Images of one party are encoded, aligned like a table, and trained on inside the SPU."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.cluster

PIPELINE = """
version: 1
name: images
parties: [hospital, insurer, coordinator]
nodes:
  xrays:
    uses: vertical/encode
    with: {{party: hospital, path: "{folder}/x.npz", id: people, label: train_labels, width: 6}}
  again:
    uses: vertical/encode
    needs: {{encoder_in: xrays.encoder}}
    with: {{party: hospital, path: "{folder}/x.npz", id: people, width: 6}}
  yours: {{uses: data/read_table, with: {{party: insurer, path: "{folder}/insurer.csv", id: [people]}}}}
  align: {{uses: alignment/psi, needs: {{left: xrays.table, right: yours.table}}}}
  share: {{uses: vertical/share_table, needs: {{data: align.table}}}}
  train: {{uses: vertical/secret_train, needs: {{table: share.table}}, with: {{epochs: 10, batch_size: 40}}}}
"""


def test_images_reach_training_inside_the_spu(veilflow_cluster: Any, tmp_path: Path) -> None:
    rng, rows = np.random.default_rng(0), 240
    label, images = rng.integers(0, 2, rows), rng.integers(0, 60, (rows, 8, 8)).astype(np.uint8)
    images[label == 1, 2:5, 2:5] += 90
    people = np.array([f"p{i}" for i in range(rows)])
    np.savez(tmp_path / "x.npz", train_images=images, train_labels=label, people=people)
    pd.DataFrame({"people": people[::-1], "age": rng.normal(size=rows)}).to_csv(tmp_path / "insurer.csv", index=False)
    run = veilflow_cluster.run(PIPELINE.format(folder=tmp_path), tmp_path)
    assert run.error is None, run.error
    table, again = (veilflow_cluster.frame(run, tmp_path, f"{name}.table", "hospital") for name in ("xrays", "again"))
    assert list(table.columns) == ["people", *(f"image_{i}" for i in range(6)), "train_labels"]
    np.testing.assert_allclose(again.iloc[:, 1:7], table.iloc[:, 1:7], atol=1e-6)
    assert not list((tmp_path / "insurer").rglob("encoder"))
    assert run.metrics["train.train_accuracy"] > 0.9
