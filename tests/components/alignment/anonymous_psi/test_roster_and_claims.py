"""What is said before anything runs: whose columns, who learns what, what may be sent."""

import pytest

from veilflow.components.alignment.anonymous_psi.claims import AnonymousPsiClaims
from veilflow.components.alignment.anonymous_psi.roster import Schema, choose_coordinator, make_roster
from veilflow.components.claims import ALL, Artifact, NodeView
from veilflow.components.errors import ComponentError

HOSPITAL = Schema(("person",), ("age", "pressure"), ("ill",))
INSURER = Schema(("client",), ("claims",), ())


def view(tables=("hospital", "insurer"), parties=("hospital", "insurer", "coordinator"), label="hospital", **params):
    wired = [Artifact("table", (party,), party if party == label else None) for party in tables]
    return NodeView("align", parties, {"protocol": "coordinator", **params}, {"tables": wired})


def test_ids_stay_out_and_labels_come_last():
    roster = make_roster([("hospital", HOSPITAL), ("insurer", INSURER)], [])
    assert roster.ids == {"hospital": ("person",), "insurer": ("client",)}
    found = [(column.name, column.owner, column.kind) for each in roster.columns.values() for column in each]
    assert found == [
        ("age", "hospital", "feature"),
        ("pressure", "hospital", "feature"),
        ("ill", "hospital", "label"),
        ("claims", "insurer", "feature"),
    ]
    chosen = make_roster([("hospital", HOSPITAL), ("insurer", INSURER)], ["hospital:age", "insurer:claims"])
    assert chosen.ids["hospital"] == ("age",)
    assert [column.name for column in chosen.columns["insurer"]] == []


@pytest.mark.parametrize(
    ("schemas", "chosen", "why"),
    [
        ([("a", HOSPITAL)], [], "two or more"),
        ([("a", HOSPITAL), ("a", INSURER)], [], "two or more"),
        ([("a", HOSPITAL), ("b", Schema((), ("x",), ()))], [], "no ID column"),
        ([("a", HOSPITAL), ("b", Schema(("i", "j"), ("x",), ()))], [], "same number"),
        ([("a", HOSPITAL), ("b", Schema(("i",), ("age",), ()))], [], "'?age'?.* rename|age: rename"),
        ([("a", HOSPITAL), ("b", Schema(("i",), (), ("well",)))], [], "label each"),
        ([("a", Schema(("i",), (), ())), ("b", Schema(("i",), (), ()))], [], "nothing to share"),
        ([("a", HOSPITAL), ("b", INSURER)], ["c:x"], "party:column"),
        ([("a", HOSPITAL), ("b", INSURER)], ["a:x"], "no column 'x'"),
    ],
)
def test_tables_that_do_not_fit_are_refused(schemas, chosen, why):
    with pytest.raises(ComponentError, match=why):
        make_roster(schemas, chosen)


def test_the_coordinator_is_a_party_without_a_table():
    assert choose_coordinator("", ["a", "b"], ["a", "b", "c"]) == "c"
    assert choose_coordinator("d", ["a", "b"], ["a", "b", "c", "d"]) == "d"
    for name, parties, why in (
        ("a", "abc", "holds a table"),
        ("x", "abc", "no party"),
        ("", "abcd", "c, d"),
        ("", "ab", "all"),
    ):
        with pytest.raises(ComponentError, match=why):
            choose_coordinator(name, ["a", "b"], list(parties))


@pytest.mark.parametrize(
    ("hide_count", "all_learn"), [("no", "how many people are common"), ("rounded", "rounded up"), ("full", None)]
)
def test_holders_learn_the_count_only_as_asked_for(hide_count, all_learn):
    lines = AnonymousPsiClaims().discloses(view(hide_count=hide_count, minimum=50))
    to_all = [line.what for line in lines if line.to == (ALL,) and line.kind == "overlap_count"]
    assert "at least 50" in to_all[0]
    assert len(to_all) == (1 if all_learn is None else 2)
    if all_learn is not None:
        assert all_learn in to_all[1]
    (coordinator,) = [line for line in lines if line.to == ("coordinator",)]
    assert coordinator.kind == "overlap_count"
    assert not [line for line in lines if line.kind in ("membership", "features", "label", "row_order")]


def test_protections_name_the_coordinator_and_the_padding():
    claims = AnonymousPsiClaims()
    names = [protection.name for protection in claims.protections(view(hide_count="rounded"))]
    assert names == ["run_ledger", "key_agreement", "shuffle", "re_mask", "minimum_overlap", "count_padding"]
    assert "count_padding" not in [each.name for each in claims.protections(view(hide_count="no"))]


def test_problems_are_found_before_anything_runs():
    claims = AnonymousPsiClaims()
    assert claims.problems(view()) == []
    assert "all parties hold one" in claims.problems(view(parties=("hospital", "insurer")))[0]
    assert "holds a table" in claims.problems(view(coordinator="insurer"))[0]
    assert "one of each party" in claims.problems(view(tables=("hospital", "hospital")))[0]
    assert "nonsense" in claims.problems(view(normalise=["nonsense"]))[0]
