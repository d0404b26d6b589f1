"""Whose runs count together: a partner's, whatever it is called and whoever else takes part; and what counts as new."""

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from veilflow.components.alignment.ledger.book import DAY, Book, Party, charge, enter, entered
from veilflow.components.alignment.ledger.document import from_json, to_json
from veilflow.components.alignment.ledger.rules import LedgerRules
from veilflow.components.alignment.ledger.store import LedgerStore
from veilflow.components.errors import ComponentError

from .test_run_ledger import RULES, after, came

ME = Party("hospital", "ed25519:ME")
ONE = Party("insurer", "ed25519:ONE")
OTHER = Party("bank", "ed25519:OTHER")
PEOPLE = range(500)


def mine(numbers, partners=(ONE,), me=ME, **more):
    return came(numbers, owner=me, partners=partners, **more)


def theirs(numbers, owner=ONE, me=ME, **more):
    return came(numbers, owner=owner, partners=(me,), own=False, **more)


@pytest.mark.parametrize(
    "again",
    [
        mine(range(1, 500), (replace(ONE, name="insurance company"),)),
        mine(range(1, 500), (OTHER, ONE)),
        mine(range(1, 500), (ONE,), Party("clinic", "ed25519:NEW KEY")),
        theirs(range(1, 500), replace(ONE, name="insurance company")),
        theirs(range(1, 500), me=Party("clinic", "ed25519:NEW KEY")),
    ],
    ids=[
        "partner renamed",
        "a third holder beside it",
        "holder renamed",
        "partner's own, renamed",
        "and holder renamed",
    ],
)
def test_another_name_or_a_third_holder_opens_no_new_page(again):
    first = mine(PEOPLE) if again.own else theirs(PEOPLE)
    with pytest.raises(ComponentError, match=r"nearly that of an earlier run with (insur|bank|clinic|hospital)"):
        enter(after(first), again, RULES)


def test_runs_with_a_partner_are_counted_in_whatever_company():
    book = Book()
    for number in range(20):
        company = [(ONE,), (ONE, OTHER), (replace(ONE, name=f"name {number}"),)][number % 3]
        book = enter(book, mine(PEOPLE, company, run=str(number)), RULES)
    with pytest.raises(ComponentError, match="hospital has had 20 runs with insurer within 24 hours"):
        enter(book, mine(PEOPLE, run="another"), RULES)
    assert enter(book, mine(PEOPLE, (OTHER,), run="another"), RULES), "seven of them were with the bank"


def test_another_partner_has_a_page_of_its_own():
    assert enter(after(mine(PEOPLE)), mine(range(1, 500), (OTHER,)), RULES)
    assert enter(after(theirs(PEOPLE)), theirs(range(1, 500), OTHER), RULES)
    stranger = Party("insurer", "ed25519:ANOTHER COMPANY OF THAT NAME")
    assert enter(after(mine(PEOPLE)), mine(range(1, 500), (stranger,)), RULES)


def test_what_was_kept_under_a_name_goes_on_when_the_party_has_a_key():
    named = after(mine(PEOPLE, (Party("insurer"),), Party("hospital")))
    with pytest.raises(ComponentError, match="nearly that"):
        enter(named, mine(range(1, 500)), RULES)


def test_a_run_that_looks_back_one_day_makes_the_next_one_forget_nothing():
    book = after(mine(PEOPLE))
    short = LedgerRules(days=1, inputs=0, change=0)
    book = enter(book, mine(range(1000, 1500), at=5 * DAY, run="s"), short)
    with pytest.raises(ComponentError, match="nearly that"):
        enter(book, mine(range(1, 500), at=6 * DAY, run="t"), RULES)


VALUES = np.arange(500) % 2


def test_one_changed_label_of_the_same_people_is_nearly_the_same_input():
    changed = VALUES.copy()
    changed[7] ^= 1
    with pytest.raises(ComponentError, match="same people, with other values of fewer than 50 people"):
        enter(after(mine(PEOPLE, values=VALUES)), mine(PEOPLE, values=changed), RULES)
    assert enter(after(mine(PEOPLE, values=VALUES)), mine(PEOPLE, values=changed), LedgerRules(change=0))


def test_the_order_of_rows_and_columns_changes_nothing():
    from veilflow.components.alignment.ledger.sketch import sketch_input

    from .test_run_ledger import KEY, ids

    values = np.random.default_rng(1).integers(0, 2**63, (50, 3), dtype=np.uint64)
    one = sketch_input(ids(range(50)), values, ["a", "b", "c"], KEY)
    rows, columns = np.random.default_rng(2).permutation(50), [2, 0, 1]
    other = sketch_input(ids(rows), values[rows][:, columns], ["c", "a", "b"], KEY)
    assert one.name == other.name
    swapped = sketch_input(ids(range(50)), values, ["b", "a", "c"], KEY)
    assert swapped.people.digest == one.people.digest
    assert swapped.rows.digest != one.rows.digest
    moved = values.copy()
    moved[[3, 4], 1] = values[[4, 3], 1]
    assert sketch_input(ids(range(50)), moved, ["a", "b", "c"], KEY).rows.difference(one.rows) == 4


def test_other_values_of_the_same_people_are_other_inputs():
    book = after(*[mine(PEOPLE, values=VALUES + shift) for shift in range(0, 8, 2)])
    with pytest.raises(ComponentError, match="hospital has used 4 different inputs with insurer"):
        enter(book, mine(PEOPLE, values=VALUES + 100), RULES)
    assert enter(book, mine(PEOPLE, values=VALUES), RULES), "the same values were there"
    assert enter(book, mine(PEOPLE), RULES), "people without values tell nothing beside the same with some"


def test_other_thresholds_of_the_same_input_are_other_inputs():
    """Every answer tells whether so many are common: halving the interval would find the number."""
    book = after(*[mine(PEOPLE, asked=f"minimum {least}") for least in (250, 125, 188, 156)])
    with pytest.raises(ComponentError, match="has used 4 different inputs"):
        enter(book, mine(PEOPLE, asked="minimum 140"), RULES)
    assert enter(book, mine(PEOPLE, asked="minimum 125"), RULES)


def test_a_question_is_charged_once_to_each_partner_and_never_forgotten():
    whole, rules = Fraction(1), LedgerRules(epsilon=2.0)
    book = charge(Book(), "q1", whole, [ONE], rules)
    for _ in range(100):
        book = charge(book, "q1", whole, [replace(ONE, name="renamed")], rules)
    book = charge(book, "q2", whole, [OTHER, ONE], rules)
    book = entered(book, mine(PEOPLE, at=10_000 * DAY), rules)
    with pytest.raises(
        ComponentError, match=r"insurer was told have cost epsilon 2; 0.001 more would exceed 2, the limit"
    ):
        charge(book, "q3", Fraction(1, 1000), [OTHER, ONE], rules)
    assert charge(book, "q3", whole, [OTHER], rules)
    assert charge(book, "q3", whole, [ONE], LedgerRules(epsilon=0)), "0 switches the limit off"


def version_1(people, at=0.0):
    """As version 1 wrote it: names, no values, no charges."""
    from veilflow.components.alignment.ledger.document import sketch_to_json

    kept = came(people).input.people
    entry = {"time": at, "owner": "hospital", "partners": ["insurer"], "run": "r", "input": kept.digest}
    partner = {**entry, "owner": "insurer", "partners": ["hospital"]}
    return {"inputs": {kept.digest: sketch_to_json(kept)}, "entries": [entry, partner]}


@pytest.mark.parametrize("nearly", [mine(range(1, 500)), theirs(range(1, 500)), mine(range(1, 500), values=VALUES[1:])])
def test_pages_of_an_earlier_version_are_carried_over(tmp_path, monkeypatch, nearly):
    from veilflow.components.alignment.ledger import store as module

    monkeypatch.setattr(module, "to_json", lambda book: version_1(PEOPLE))
    LedgerStore(tmp_path).update(lambda book: book)
    monkeypatch.undo()
    with pytest.raises(ComponentError, match="nearly that"):
        LedgerStore(tmp_path).update(lambda book: enter(book, nearly, RULES))
    LedgerStore(tmp_path).update(lambda book: enter(book, mine(PEOPLE, run="again"), RULES))
    assert len(LedgerStore(tmp_path).book().entries) == 3
    document = json.loads(json.loads((tmp_path / "book.json").read_text())["body"])["book"]
    assert document["version"] == 2


def test_a_book_of_a_later_version_is_refused():
    with pytest.raises(ComponentError, match="has version 3, this VeilFlow reads up to 2"):
        from_json({**to_json(Book()), "version": 3})
