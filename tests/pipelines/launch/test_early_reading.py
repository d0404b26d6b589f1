"""Parties read their first files at the same time, not in turns."""

import pandas as pd
import pytest

pytestmark = pytest.mark.cluster

PIPELINE = """
version: 1
name: read_early
parties: [hospital, insurer, coordinator]
nodes:
  large: {{uses: data/read_table, with: {{party: hospital, path: "generate://three_banks/bank_1?rows=100000&seed=7"}}}}
  between: {{uses: flow/barrier}}
  small: {{uses: data/read_table, with: {{party: insurer, path: "{folder}/small.csv", label: ill}}}}
"""


@pytest.fixture
def small(tmp_path):
    pd.DataFrame({"bmi": [1.0, 2.0], "ill": [0, 1]}).to_csv(tmp_path / "small.csv", index=False)
    return tmp_path / "small.csv"


def test_a_file_is_read_while_another_party_has_its_turn(veilflow_cluster, small):
    """It is gone when its own step begins, and was read long before."""

    def remove(event):
        if event.kind == "node_done" and event.body["node"] == "large":
            small.unlink(missing_ok=True)

    run = veilflow_cluster.run(PIPELINE.format(folder=small.parent), small.parent / "out", observer=remove)
    assert run.error is None
    frame = veilflow_cluster.frame(run, small.parent / "out", "small.table", "insurer")
    assert frame["bmi"].tolist() == [1.0, 2.0]


def test_a_file_that_cannot_be_read_fails_at_its_turn(veilflow_cluster, small):
    small.write_text("bmi,ill\n1.0,0\n2.0,\n")
    run = veilflow_cluster.run(PIPELINE.format(folder=small.parent), small.parent / "out")
    assert [node.status for node in run.nodes] == ["ran", "ran", "failed"]
    assert run.error.node == "small"
    assert "without an ID or label" in run.error.message
