"""What `plan` says of an overlap before it runs."""

import pytest

from veilflow.components.claims import ALL, Artifact, NodeView, claims_for

PARTIES = ("hospital", "insurer", "coordinator")
CLAIMS = claims_for("alignment/overlap:1.0.0")


def view(left="hospital", right="insurer", parties=PARTIES, **params):
    given = {"epsilon": 1.0, "at_least": 0, "normalise": ["strip"], **params}
    inputs = {"left": [Artifact("table", (left,))], "right": [Artifact("table", (right,))]}
    return NodeView("overlap", parties, given, inputs)


@pytest.mark.parametrize(
    ("params", "what"),
    [({}, "how many people are common, with noise"), ({"at_least": 50}, "whether at least 50 people are common")],
)
def test_the_result_is_told_to_all_and_named(params, what):
    lines = [line for line in CLAIMS.discloses(view(**params)) if line.kind == "overlap_count"]
    assert len(lines) == 1
    assert what in lines[0].what
    assert lines[0].to == (ALL,)
    assert "1.0-differentially private" in lines[0].note
    assert "the same people get the same noise again" in lines[0].note
    assert "rests on each holder stating the people it brings" in lines[0].note, "what cannot be closed is said"


def test_the_limit_for_all_time_is_named():
    lines = [line.note for line in CLAIMS.discloses(view(ledger_epsilon=2.0)) if line.kind == "overlap_count"]
    assert "at most 2.0 for all that one partner is ever told" in lines[0]
    assert "without a limit in all" in str(CLAIMS.discloses(view(ledger_epsilon=0.0)))


def test_nobody_is_said_to_learn_who_is_common():
    kinds = {line.kind for line in CLAIMS.discloses(view())}
    assert not kinds & {"membership", "row_order", "features", "label"}


def test_the_count_leaves_only_masked_or_noised():
    sends = CLAIMS.sends(view())
    assert not [send for send in sends if send.kind == "anything" or send.what == "sent"]
    assert {send.what for send in sends} >= {"published", "slots", "masked_table", "masked_noise", "ledger_statement"}


def test_noise_and_ledger_must_leave_receipts_at_both_holders():
    required = {(each.name, each.at) for each in CLAIMS.protections(view())}
    assert {("run_ledger", PARTIES[:2]), ("count_noise", PARTIES[:2])} <= required
    (noise,) = (each for each in CLAIMS.protections(view()) if each.name == "count_noise")
    assert noise.parameters["keyed"] is True, "fresh noise fails the step"


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        (view(right="hospital"), "both tables of hospital"),
        (view(parties=PARTIES[:2]), "needs a third party"),
        (view(normalise=["shout"]), "'shout' is not one of"),
    ],
)
def test_problems_are_found_before_anything_runs(node, problem):
    assert any(problem in found for found in CLAIMS.problems(node))
    assert not CLAIMS.problems(view())
