"""T1: the budget survives restarts, cannot go down, refuses what would exceed it, is on disk before `charge` ends."""

import json
import os

import pytest

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.accountant import Charge, gaussian_epsilon
from veilflow.components.privacy.ledger import Budget, BudgetExceeded, BudgetTerms

TERMS = BudgetTerms("client", 1e-5, 8.0)
ROUND = [Charge(4.0)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledgers" / "bank.budget.json"


def test_a_restart_goes_on_where_it_was(path) -> None:
    first = Budget(path, TERMS)
    for number in range(3):
        first.charge(f"train/{number}", ROUND)
    again = Budget(path, TERMS)
    assert again.spent == first.spent == pytest.approx(gaussian_epsilon([4.0] * 3, 1e-5), abs=1e-3)
    again.charge("train/3", ROUND)
    assert first.spent == again.spent, "two processes see one ledger"
    assert os.stat(path).st_mode & 0o077 == 0


def test_the_round_that_would_exceed_is_refused_and_not_written(path) -> None:
    budget = Budget(path, TERMS)
    allowed = budget.possible(lambda round: ROUND)
    for number in range(allowed):
        budget.charge(f"train/{number}", ROUND)
    before = path.read_bytes()
    with pytest.raises(
        BudgetExceeded, match=rf"'train/{allowed}' would bring epsilon to .* the limit is 8; .* is spent"
    ):
        budget.charge(f"train/{allowed}", ROUND)
    assert path.read_bytes() == before
    assert budget.spent <= 8.0
    assert gaussian_epsilon([4.0] * (allowed + 1), 1e-5) > 8.0, "not refused too early"


def test_impossible_rounds_are_refused_before_training_with_the_number_possible(path) -> None:
    budget = Budget(path, TERMS)
    allowed = budget.possible(lambda round: ROUND)
    budget.require_rounds(lambda round: ROUND, allowed)
    with pytest.raises(
        BudgetExceeded, match=rf"allows {allowed} more round\(s\) of this noise, {allowed + 9} are asked"
    ):
        budget.require_rounds(lambda round: ROUND, allowed + 9)
    budget.charge("earlier", ROUND)
    assert budget.possible(lambda round: ROUND) == allowed - 1


def test_a_charge_that_cannot_be_written_is_not_allowed(path, monkeypatch) -> None:
    budget = Budget(path, TERMS)

    def full(*args):
        raise OSError("no space left")

    monkeypatch.setattr("veilflow.components.privacy.ledger.os.replace", full)
    with pytest.raises(OSError, match="no space"):
        budget.charge("train/0", ROUND)
    monkeypatch.undo()
    assert Budget(path, TERMS).hashes() == []


def test_a_single_round_can_be_limited(path) -> None:
    budget = Budget(path, BudgetTerms("client", 1e-5, 8.0, per_round=1.0))
    with pytest.raises(BudgetExceeded, match=r"'train/0' alone would cost epsilon .*, a single round may cost 1"):
        budget.charge("train/0", [Charge(2.0)])
    budget.charge("train/0", [Charge(8.0)])


@pytest.mark.parametrize(
    "other, words",
    [
        (BudgetTerms("record", 1e-5, 8.0), "counts with unit client, this run with record"),
        (BudgetTerms("client", 1e-6, 8.0), "counts with delta"),
        (BudgetTerms("client", 1e-5, 8.0, "rdp"), "counts with method pld"),
        (BudgetTerms("client", 1e-5, 9.0), "cannot raise it to 9"),
    ],
)
def test_terms_cannot_be_changed_to_spend_more(path, other, words) -> None:
    Budget(path, TERMS).charge("train/0", ROUND)
    with pytest.raises(ComponentError, match=words):
        Budget(path, other)


def test_the_limit_can_be_lowered_and_stays_low(path) -> None:
    Budget(path, BudgetTerms("client", 1e-5, 8.0, "filter")).charge("train/0", ROUND)
    order = json.loads(path.read_text())["order"]
    Budget(path, BudgetTerms("client", 1e-5, 2.0, "filter"))
    assert json.loads(path.read_text())["order"] == order, "the filter's order was fixed before the first round"
    with pytest.raises(ComponentError, match="cannot raise it to 8"):
        Budget(path, BudgetTerms("client", 1e-5, 8.0, "filter"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d["entries"].pop(0),
        lambda d: d["entries"][0]["charges"][0].update(multiplier=400.0),
        lambda d: d["entries"].reverse(),
        lambda d: d.pop("entries"),
    ],
)
def test_an_edited_ledger_is_refused(path, damage) -> None:
    budget = Budget(path, TERMS)
    budget.charge("train/0", ROUND)
    budget.charge("train/1", ROUND)
    document = json.loads(path.read_text())
    damage(document)
    path.write_text(json.dumps(document))
    with pytest.raises(ComponentError, match=r"bank\.budget\.json is damaged or was edited"):
        Budget(path, TERMS)


def test_a_ledger_that_paid_for_nothing_yet_takes_other_terms(path) -> None:
    slip = Budget(path, BudgetTerms("client", 1e-6, 0.1, "filter"))
    with pytest.raises(BudgetExceeded, match="or a larger epsilon"):
        slip.require_rounds(lambda round: ROUND, 9)
    right = Budget(path, TERMS)
    right.require_rounds(lambda round: ROUND, 2)
    with pytest.raises(ComponentError, match="counts with delta 1e-05, this run with 1e-06"):
        slip.charge("train/0", [Charge(1000.0)])
    right.charge("train/0", ROUND)
    with pytest.raises(BudgetExceeded, match="more noise, or smaller batches"):
        right.require_rounds(lambda round: ROUND, 99)
    with pytest.raises(ComponentError, match="Ask for 8 or less"):
        Budget(path, BudgetTerms("client", 1e-5, 9.0))


def test_the_report_says_what_is_counted_and_what_is_not(path) -> None:
    budget = Budget(path, BudgetTerms("record", 1e-5, 8.0))
    budget.charge("train/0", [Charge(2.0, 0.01, 10)])
    budget.charge("train/1", [Charge(1.0, 0.01, 10)])
    report = budget.report()
    assert (report["unit"], report["delta"], report["rounds"]) == ("record", 1e-5, 2)
    assert report["round_of_maximum"] == "train/1"
    assert 0 < report["round_maximum"] < report["epsilon"] <= report["epsilon_rdp"]
    assert any("hyper-parameters" in line for line in report["not_covered"])


def test_noise_that_follows_outputs_needs_the_filter() -> None:
    with pytest.raises(ComponentError, match="method 'pld' cannot count noise that follows earlier outputs"):
        BudgetTerms("record", 1e-5, 8.0).check_schedule(public=False, rate=0.01)
    BudgetTerms("record", 1e-5, 8.0, "filter").check_schedule(public=False, rate=0.01)
    BudgetTerms("client", 1e-5, 8.0).check_schedule(public=False, rate=1.0)
    BudgetTerms("record", 1e-5, 8.0).check_schedule(public=True, rate=0.01)


def test_a_release_without_noise_cannot_be_charged(path) -> None:
    with pytest.raises(ComponentError, match="nothing to charge"):
        Budget(path, TERMS).charge("train/0", [])
