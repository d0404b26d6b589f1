"""SecretFlow's own components as steps of a pipeline, next to ours, in one connected cluster."""

import pytest

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
