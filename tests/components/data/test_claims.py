"""What the data components say of themselves before anything runs."""

import subprocess
import sys
from typing import Any

import pytest

from veilflow.components.claims import ALL, Artifact, NodeView, claims_for

PARTIES = ("hospital", "insurer", "coordinator")
ONE = Artifact("table", ("hospital",), "hospital")
TWO = Artifact("table", ("hospital", "insurer"), "hospital")


def _node(inputs: dict[str, Any] | None = None, **params: Any) -> NodeView:
    return NodeView("step", PARTIES, params, inputs or {})


def test_claims_are_light():
    script = (
        "import sys, veilflow.components.data.claims;"
        "heavy = {'pandas', 'numpy', 'pyarrow', 'sklearn', 'jax', 'secretflow'} & set(sys.modules);"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_reading_takes_place_at_one_party_and_says_what_it_reads():
    claims, node = claims_for("data/read_table:1.0.0"), _node(party="insurer", path="x.csv", id=["p"], label="y")
    assert claims.takes_part(node) == ("insurer",)
    assert claims.reads(node) == [("insurer", "x.csv")]
    assert claims.outputs(node)["table"] == Artifact("table", ("insurer",), "insurer")
    assert claims.outputs(_node(party="insurer", path="x.csv"))["table"].label_party is None
    assert claims.problems(node) == []
    assert {line.to for line in claims.discloses(node)} == {(ALL,)}
    assert {line.about for line in claims.discloses(node)} == {("insurer",)}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"path": "sample://breast_cancer/bank"}, "no part of sample://breast_cancer is called 'bank'"),
        ({"path": "x.xlsx"}, "does not end in"),
        ({"path": "x.npz"}, "is an image set"),
        ({"path": "x.csv", "columns": ["a"], "drop": ["b"]}, "either columns"),
        ({"path": "x.csv", "types": ["age"]}, "not of the form column:setting"),
        ({"path": "x.csv", "label_above": 0.0}, "label_above is given without label"),
        ({"path": "x.csv", "label": "score"}, "cannot have a name that a column of ours has ('score'"),
        ({"path": "x.csv", "id": ["member"]}, "cannot have a name that a column of ours has ('member'"),
    ],
)
def test_a_read_that_cannot_work_is_known_before(params: dict[str, Any], message: str):
    (problem,) = claims_for("data/read_table").problems(_node(party="hospital", **params))
    assert message in problem


@pytest.mark.parametrize("key", ["data/clean", "data/scale", "data/apply_rules", "data/train_test_split"])
def test_tables_stay_with_their_owners(key: str):
    claims, node = claims_for(key), _node({"data": [TWO]})
    assert claims.takes_part(node) == ("hospital", "insurer")
    tables = [found for found in claims.outputs(node).values() if found.kind == "table"]
    assert tables
    assert set(tables) == {TWO}
    assert all(line.about == ("hospital", "insurer") for line in claims.discloses(node))


def test_rules_live_where_the_columns_do():
    for key in ("data/clean", "data/scale"):
        assert claims_for(key).outputs(_node({"data": [ONE]}))["rule"] == Artifact("rule", ("hospital",))


def test_dropping_rows_of_a_shared_table_is_refused_before_it_runs():
    claims = claims_for("data/clean")
    params = {"missing": "drop_rows", "duplicates": "first", "equal_rows": "drop"}
    (problem,) = claims.problems(_node({"data": [TWO]}, **params))
    assert "missing: drop_rows, duplicates: first, equal_rows: drop would remove rows" in problem
    assert claims.problems(_node({"data": [ONE]}, **params)) == []
    assert claims.problems(_node({"data": [TWO]}, missing="median", duplicates="error", equal_rows="keep")) == []


def test_a_rule_of_a_stranger_is_refused_before_it_runs():
    rule = Artifact("rule", ("insurer",))
    (problem,) = claims_for("data/apply_rules").problems(_node({"data": [ONE], "rules": [rule]}))
    assert problem == "a rule belongs to insurer, but the table is held by hospital."


def test_k_anonymity_is_for_one_party_and_checks_its_columns():
    claims = claims_for("data/k_anonymize")
    assert claims.problems(_node({"data": [ONE]}, quasi_identifiers=["age"], sensitive="")) == []
    problems = claims.problems(_node({"data": [TWO]}, quasi_identifiers=["age"], sensitive="age"))
    assert "one party's table" in problems[0]
    assert "both sensitive and a quasi-identifier" in problems[1]


def test_a_stratified_split_says_that_it_looks_at_the_label():
    claims = claims_for("data/train_test_split")
    (plain,) = claims.discloses(_node({"data": [TWO]}, stratify=False))
    (looked,) = claims.discloses(_node({"data": [TWO]}, stratify=True))
    assert "without a look at the data" in plain.note
    assert looked.about == ("hospital",)
    assert "share of every class" in looked.note


def test_settings_per_column_are_checked():
    (problem,) = claims_for("data/scale").problems(_node({"data": [ONE]}, method_by_column=["age:log"]))
    assert "'log' of column 'age' is not one of standard, minmax, none" in problem
    problems = claims_for("data/clean").problems(
        _node({"data": [ONE]}, missing_by_column=["age:zero"], outliers_by_column=["age"])
    )
    assert len(problems) == 2
