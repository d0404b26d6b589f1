"""What `plan` says of a PSI before it runs."""

import pytest

from veilflow.components.alignment.spec import parse_rules
from veilflow.components.claims import ALL, Artifact, NodeView, claims_for

PARTIES = ("hospital", "insurer", "coordinator")
CLAIMS = claims_for("alignment/psi:1.0.0")


def view(left=("hospital", None), right=("insurer", None), **params):
    def table(side):
        parties = side[0] if isinstance(side[0], tuple) else (side[0],)
        return [Artifact("table", parties, side[1])]

    given = {"receiver": "both", "normalise": ["strip"], **params}
    return NodeView("align", PARTIES, given, {"left": table(left), "right": table(right)})


def who_learns(node, what):
    return {party for line in CLAIMS.discloses(node) if what in line.what for party in line.to}


def test_only_the_holders_take_part():
    assert CLAIMS.takes_part(view()) == ("hospital", "insurer")


def test_each_receiver_learns_who_is_common_and_everybody_how_many():
    assert who_learns(view(), "which of its own people") == {"hospital", "insurer"}
    assert who_learns(view(receiver="insurer"), "which of its own people") == {"insurer"}
    assert who_learns(view(receiver="insurer"), "how many people are common") == {ALL}


def test_the_label_goes_with_its_party():
    assert CLAIMS.outputs(view(left=("hospital", "hospital")))["table"] == Artifact(
        "table", ("hospital", "insurer"), "hospital"
    )
    alone = CLAIMS.outputs(view(left=("hospital", "hospital"), receiver="insurer"))["table"]
    assert alone == Artifact("table", ("insurer",), None)


def test_a_sound_step_has_no_problems():
    assert CLAIMS.problems(view(left=("hospital", "hospital"))) == []


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        (view(right=("hospital", None)), "left and right are both tables of hospital"),
        (view(left=(("hospital", "insurer"), None)), "left is a table of hospital, insurer; alignment/psi takes one"),
        (view(receiver="coordinator"), "receiver 'coordinator' holds neither table; choose both, hospital or insurer"),
        (view(("hospital", "hospital"), ("insurer", "insurer")), "hospital and insurer both hold a label"),
        (view(normalise=["upper"]), "'upper' is not one of strip"),
        (view(normalise=["2:case"], left_id=["person"]), "normalise names ID column 2"),
        (view(left_id=["a", "b"], right_id=["a"]), "left_id names 2 column(s), right_id 1"),
    ],
)
def test_problems_are_found_without_data(node, problem):
    assert any(problem in found for found in CLAIMS.problems(node)), CLAIMS.problems(node)


def test_two_labels_are_fine_where_only_one_party_gets_rows():
    assert CLAIMS.problems(view(("hospital", "hospital"), ("insurer", "insurer"), receiver="insurer")) == []


def test_the_default_rules_are_valid():
    assert parse_rules(["strip", "width"]).of_column(0) == {"strip", "width"}
