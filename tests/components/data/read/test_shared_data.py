"""The public data sets of the benches read as they are meant."""

from pathlib import Path

import pytest

from veilflow.components.data.read.normalise import normalise
from veilflow.components.data.read.spec import ReadSpec
from veilflow.datasets.sources import open_table
from veilflow.datasets.wanted import Wanted

DATA = Path(__file__).parents[5] / "shared" / "data"
pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data, which is not part of the project"),
]


def test_dvisits_label_is_any_doctor_visit():
    raw = open_table("dvisits/dvisits_hetero_guest.csv", DATA, Wanted(text=("id",)))
    found, facts = normalise(raw, ReadSpec(ids=("id",), label="doctorco", label_above=0), "guest")
    assert found["doctorco"].value_counts().to_dict() == {0: 4141, 1: 1049}
    assert [column.type for column in facts.columns] == ["str", "int64", "int64", "int64", "int64"]


def test_default_credit_reads_without_defects():
    for name, columns in (("hetero_guest", 15), ("hetero_host", 11), ("homo_guest", 25), ("homo_test", 25)):
        raw = open_table(f"default_credit/default_credit_{name}.csv", DATA, Wanted(text=("id",)))
        label = "" if name == "hetero_host" else "y"
        found, facts = normalise(raw, ReadSpec(ids=("id",), label=label), name)
        assert found.shape[1] == columns
        assert facts.duplicate_ids == 0
        assert not any(column.missing or column.infinite or column.numbers_in_text for column in facts.columns)
