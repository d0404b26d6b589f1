"""The data components at real parties: what each party holds afterwards, and what everybody is told."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from veilflow.datasets.sources import open_table

pytestmark = pytest.mark.cluster

PREPARE = """
version: 1
name: prepare
parties: [hospital, insurer, coordinator]
nodes:
  patients:
    uses: data/read_table
    with: {{party: hospital, path: "{path}", id: [person], label: readmitted, drop: [cholesterol]}}
  cleaned:
    uses: data/clean
    needs: {{data: patients.table}}
    with: {{missing: median, outliers: iqr, duplicates: first}}
  parts: {{uses: data/train_test_split, needs: {{data: cleaned.table}}, with: {{test_size: 0.25, stratify: true}}}}
  scaled: {{uses: data/scale, needs: {{data: parts.train}}, with: {{method_by_column: [age:minmax]}}}}
  scaled_test: {{uses: data/apply_rules, needs: {{data: parts.test, rules: [scaled.rule]}}}}
  shown:
    uses: data/k_anonymize
    needs: {{data: cleaned.table}}
    with: {{quasi_identifiers: [age, sex, bmi], k: 7}}
"""
ADDRESS = "generate://hospital_insurer/hospital?rows=400&missing=0.03&outliers=0.01&duplicates=0.05"


@pytest.fixture(scope="module")
def prepared(veilflow_cluster, tmp_path_factory):
    """The pipeline above, run once; ``frame("node.output")`` gives the hospital's rows."""
    out = tmp_path_factory.mktemp("prepared")
    run = veilflow_cluster.run(PREPARE.format(path=ADDRESS), out)
    assert run.error is None, run.error
    return run, lambda output: veilflow_cluster.frame(run, out, output, "hospital"), out


def test_the_hospital_holds_what_the_kernel_would_have_made(prepared):
    _, frame, _ = prepared
    raw = open_table(ADDRESS).drop(columns="cholesterol")
    read, cleaned = frame("patients.table"), frame("cleaned.table")
    pd.testing.assert_frame_equal(read[list(raw)], raw, check_dtype=False)
    assert len(read) == 420
    assert len(cleaned) == cleaned["person"].nunique() == 400
    assert not cleaned.isna().to_numpy().any()


def test_train_and_test_rows_are_disjoint_whole_and_of_equal_class_shares(prepared):
    _, frame, _ = prepared
    train, test, whole = frame("parts.train"), frame("parts.test"), frame("cleaned.table")
    assert sorted([*train["person"], *test["person"]]) == sorted(whole["person"])
    assert abs(len(test) - 100) <= 1
    assert test["readmitted"].mean() == pytest.approx(whole["readmitted"].mean(), abs=0.011)


def test_the_scale_is_fitted_on_train_rows_and_applied_to_test_rows(prepared):
    _, frame, _ = prepared
    train, test = frame("parts.train"), frame("parts.test")
    features = [name for name in train if name not in ("person", "readmitted", "age")]
    oracle = StandardScaler().fit(train[features])
    np.testing.assert_allclose(frame("scaled.table")[features], oracle.transform(train[features]), atol=1e-9)
    np.testing.assert_allclose(frame("scaled_test.table")[features], oracle.transform(test[features]), atol=1e-9)
    assert frame("scaled.table")["age"].agg(["min", "max"]).tolist() == [0.0, 1.0]
    assert frame("scaled_test.table")["person"].tolist() == test["person"].tolist()


def test_the_anonymous_table_is_anonymous_and_its_protection_left_a_receipt(prepared):
    run, frame, _ = prepared
    shown = frame("shown.table")
    assert shown.groupby(["age", "sex", "bmi"]).size().min() >= 7
    (node,) = [entry for entry in run.nodes if entry.name == "shown"]
    assert any(entry.protection == "k_anonymity" for entry in node.receipts)


def test_nobody_else_holds_a_row_and_reports_hold_no_cell(prepared):
    _, frame, out = prepared
    person = frame("patients.table")["person"][0]
    for party in ("insurer", "coordinator"):
        holding = [path for path in (out / party).rglob("*") if path.is_file() and person.encode() in path.read_bytes()]
        assert holding == []
    assert person not in (out / "run.json").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("patients.path=nowhere.csv", "no file 'nowhere.csv' in the "),
        ("patients.id=[persn]", "has no column 'persn' among its"),
        ("cleaned.duplicates=error", "20 of 420 rows repeat an earlier person"),
        ("patients.label_above=5", "all 400 rows are of one"),
        ("patients.path=generate://hospital_insurer/hospital?rows=3", "stratify needs two rows of each class"),
        ("shown.k=500", "400 rows cannot be 500-anonymous"),
    ],
)
def test_bad_data_ends_the_run_with_one_clear_message(veilflow_cluster, tmp_path: Path, change: str, message: str):
    run = veilflow_cluster.run(PREPARE.format(path=ADDRESS), tmp_path, overrides=[change])
    assert run.error is not None
    assert run.error.party == "hospital"
    assert message in run.error.message


DECIMALS = """
version: 1
name: decimals
parties: [hospital, insurer, coordinator]
nodes:
  patients:
    uses: data/read_table
    with: {{party: hospital, path: "{path}", id: [person], label: share, label_above: 0.7}}
  parts: {{uses: data/train_test_split, needs: {{data: patients.table}}, with: {{test_size: 0.2}}}}
"""


def test_settings_are_the_decimals_that_were_written(veilflow_cluster, tmp_path: Path):
    """As 32-bit floats, 0.2 of 100 rows would be 21, and a label of 0.7 would be above 0.7."""
    shares = [0.7, 0.71, 0.7, 0.69] * 25
    frame = pd.DataFrame({"person": [f"p{row}" for row in range(100)], "x": range(100), "share": shares})
    frame.to_csv(tmp_path / "t.csv", index=False)
    run = veilflow_cluster.run(DECIMALS.format(path=tmp_path / "t.csv"), tmp_path / "out")
    assert run.error is None, run.error
    assert len(veilflow_cluster.frame(run, tmp_path / "out", "parts.test", "hospital")) == 20
    read = veilflow_cluster.frame(run, tmp_path / "out", "patients.table", "hospital")
    assert read["share"].tolist() == [0, 1, 0, 0] * 25


_NUMBERS = itertools.count()
"""Every party evaluates the same components in the same order, so the numbers agree."""


def _evaluate(ctx: Any, component: str, inputs: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    """Run one component in this party's process; its outputs' DistData by name."""
    from secretflow_spec import Registry

    definition = Registry.get_definition_by_id(component)
    names = [output.name for output in definition.get_output_defs(0)]
    uris = {name: f"direct/{next(_NUMBERS)}_{name}" for name in names}
    made = definition.make_component({**attributes, **inputs, **uris, "_minor": 0})
    made.evaluate(ctx)
    return {name: getattr(made, name).data for name in names}


def _vertical_table(ctx: Any) -> Any:
    """The sample's hospital rows beside as many generated insurer rows, as if they were aligned."""
    from secretflow.component.core import VTable

    parts = []
    for party, path in (
        ("hospital", "sample://breast_cancer/hospital"),
        ("insurer", "generate://hospital_insurer/insurer?rows=450&missing=0.02"),
    ):
        made = _evaluate(ctx, "data/read_table:1.0.0", {}, party=[party], path=path, id=["person"])
        parts += VTable.from_distdata(made["table"]).parties.values()
    return VTable("aligned", parts, 450).to_distdata()


def split_vertically(ctx: Any) -> dict[str, Any]:
    """Clean, split, scale and apply on a table of two parties; facts of this party's own part."""
    import io

    import pyarrow.orc as orc
    from secretflow.component.core import VTable

    table = _vertical_table(ctx)
    cleaned = _evaluate(ctx, "data/clean:1.0.0", {"data": table}, outliers="quantile")
    parts = _evaluate(ctx, "data/train_test_split:1.0.0", {"data": cleaned["table"]}, test_size=0.3)
    scaled = _evaluate(ctx, "data/scale:1.0.0", {"data": parts["train"]})
    applied = _evaluate(
        ctx, "data/apply_rules:1.0.0", {"data": parts["test"], "rules": [cleaned["rule"], scaled["rule"]]}
    )

    def own(stored: Any) -> pd.DataFrame | None:
        part = VTable.from_distdata(stored).parties.get(ctx.self_party)
        if part is None:
            return None
        with ctx.storage.get_reader(part.uri) as reader:
            return orc.ORCFile(io.BytesIO(reader.read())).read().to_pandas()

    whole, train, test, last = (own(t) for t in (table, parts["train"], parts["test"], applied["table"]))
    if whole is None:
        return {"holds": False}
    at = {person: row for row, person in enumerate(whole["person"])}
    return {
        "holds": True,
        "train": [at[person] for person in train["person"]],
        "test": [at[person] for person in test["person"]],
        "same_order": last["person"].tolist() == test["person"].tolist(),
        "gaps": int(train.isna().to_numpy().sum() + last.isna().to_numpy().sum()),
        "public_rows": [VTable.from_distdata(parts[name]).line_count for name in ("train", "test")],
    }


def test_a_table_of_two_parties_is_split_at_the_same_rows_everywhere(veilflow_cluster):
    found = veilflow_cluster.call(split_vertically)
    hospital, insurer = found["hospital"], found["insurer"]
    assert found["coordinator"] == {"holds": False}
    assert hospital["train"] == insurer["train"]
    assert hospital["test"] == insurer["test"]
    assert sorted(hospital["train"] + hospital["test"]) == list(range(450))
    assert hospital["public_rows"] == [315, math.ceil(450 * 0.3)]
    assert insurer["gaps"] == 0
    assert insurer["same_order"]


def drop_rows_vertically(ctx: Any) -> None:
    """What must be refused: a party dropping rows of a table that others hold too."""
    _evaluate(ctx, "data/clean:1.0.0", {"data": _vertical_table(ctx)}, missing="drop_rows")


def stratify_without_label(ctx: Any) -> None:
    """What cannot work: class shares of a table without a label."""
    _evaluate(ctx, "data/train_test_split:1.0.0", {"data": _vertical_table(ctx)}, stratify=True)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (drop_rows_vertically, "missing: drop_rows would remove rows of a table that several parties hold together"),
        (stratify_without_label, "stratify needs exactly one label column; there are: hospital 0, insurer 0"),
    ],
)
def test_what_a_table_of_two_parties_does_not_allow_is_refused(veilflow_cluster, function: Any, message: str):
    from veilflow.pipelines.launch.processes import PartyFailed

    with pytest.raises(PartyFailed, match=message):
        veilflow_cluster.call(function)
