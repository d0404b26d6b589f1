"""SecretFlow's own components as steps of a pipeline, next to ours, in one connected cluster."""

import re
from pathlib import Path

import pytest

from veilflow.pipelines.catalog import load as load_catalog
from veilflow.pipelines.spec import loads

pytestmark = pytest.mark.cluster

PIPELINE = """
version: 1
name: mixed
parties: [hospital, insurer, coordinator]
nodes:
  patients:
    uses: data/read_table
    with: {party: hospital, path: "sample://breast_cancer/hospital", id: [person], label: malignant}
  clients:
    uses: data/read_table
    with: {party: insurer, path: "sample://breast_cancer/insurer", id: [person]}
  align: {uses: alignment/psi, needs: {left: patients.table, right: clients.table}}
  scale: {uses: data/scale, needs: {data: align.table}}
  statistics:
    uses: stats/table_statistics
    needs: {input_ds: align.table}
    with: {features: [mean_radius, worst_area]}
  theirs:
    uses: ml.train/ss_sgd_train
    needs: {input_ds: scale.table}
    with:
      feature_selects: [mean_radius, mean_texture, mean_concavity, worst_area, worst_concavity]
      label: malignant
      epochs: 2
      batch_size: 128
      learning_rate: 0.3
  ours:
    uses: vertical/split_train
    needs: {table: scale.table}
    with: {epochs: 1, batch_size: 128}
  score:
    uses: ml.predict/ss_sgd_predict
    needs: {input_model: theirs.output_model, input_ds: scale.table}
    with: {receiver: hospital, save_ids: false, save_label: true}
"""


def test_secretflows_own_steps_run_between_ours(veilflow_cluster, tmp_path):
    run = veilflow_cluster.run(PIPELINE, tmp_path)
    assert run.error is None, run.error
    assert {node.name for node in run.nodes if node.status == "ran"} >= {"statistics", "theirs", "ours", "score"}
    (statistics,) = [node for node in run.nodes if node.name == "statistics"]
    assert any("mean_radius" in str(tab.rows) for tab in statistics.report)
    scores = veilflow_cluster.frame(run, tmp_path, "score.output_ds", "hospital")
    ill, well = scores[scores.malignant == 1].pred, scores[scores.malignant == 0].pred
    assert ill.mean() > well.mean() + 0.2, "two epochs of SecretFlow's SS-SGD on the table that we aligned and scaled"


SMALL = """
version: 1
name: small
parties: [hospital, insurer, coordinator]
nodes:
  patients:
    uses: data/read_table
    with: {party: hospital, path: "sample://breast_cancer/hospital", id: [person], label: malignant}
  clients:
    uses: data/read_table
    with: {party: insurer, path: "sample://breast_cancer/insurer", id: [person]}
  align: {uses: alignment/psi, needs: {left: patients.table, right: clients.table}}
  fewer: {uses: data_filter/feature_filter, needs: {input_ds: align.table}, with: {drop_features: [mean_radius]}}
  some: {uses: data_filter/sample, needs: {input_ds: align.table}}
  split: {uses: data_prep/train_test_split, needs: {input_ds: align.table}}
  both: {uses: data_prep/union, needs: {input_ds1: align.table, input_ds2: align.table}}
  filled: {uses: preprocessing/fillna, needs: {input_ds: align.table}, with: {fill_na_features: [mean_radius]}}
  text: {uses: preprocessing/cast, needs: {input_ds: align.table}, with: {columns: [mean_radius], astype: string}}
  more:
    uses: preprocessing/binary_op
    needs: {input_ds: align.table}
    with: {new_feature_name: both_means, f1: mean_radius, f2: mean_texture}
  asked:
    uses: preprocessing/sql_processor
    needs: {input_ds: align.table}
    with: {sql: "SELECT *, mean_radius AS again"}
"""
REFUSED = (
    "  x: {uses: stats/ss_vif, needs: {input_ds: align.table}, with: {feature_selects: [mean_radius, worst_area]}}\n"
)


def test_secretflows_small_steps_run_on_our_tables(veilflow_cluster, tmp_path):
    run = veilflow_cluster.run(SMALL, tmp_path)
    assert run.error is None, run.error
    frame = veilflow_cluster.frame(run, tmp_path, "more.output_ds", "hospital")
    assert (frame.both_means - frame.mean_radius - frame.mean_texture).abs().max() < 1e-6


def test_one_that_sends_python_objects_is_refused_by_the_decoder(veilflow_cluster, tmp_path):
    run = veilflow_cluster.run(SMALL.split("  fewer:")[0] + REFUSED, tmp_path)
    assert run.error is not None
    assert "is not on the list of what may be received" in run.error.message


def test_the_page_lists_those_that_run():
    text = (Path(__file__).resolve().parents[3] / "docs" / "architecture.md").read_text()
    section = text.split("## SecretFlow's own components as steps")[1].split("\n## ")[0]
    used = {node.uses for source in (PIPELINE, SMALL) for node in loads(source.encode()).nodes.values()}
    theirs = {name for name in used if load_catalog().find(name).module.startswith("secretflow.")}
    assert set(re.findall(r"`([a-z_.]+/[a-z_]+)`", section.split("Not:")[0])) == theirs
