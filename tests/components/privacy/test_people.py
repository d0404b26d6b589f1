"""A budget belongs to people: whatever table they come in, what is left is what is left to the one charged most."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as example
from hypothesis import strategies as st

from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg_train.sources import people_of
from veilflow.components.privacy.accountant import Charge, epsilon
from veilflow.components.privacy.ledger import BudgetExceeded, BudgetTerms
from veilflow.components.privacy.ledger_folder import LedgerFolder

TERMS = BudgetTerms("client", 1e-5, 8.0)
ROUND = Charge(4.0)
TABLE = pd.DataFrame({"person": [f"p{row}" for row in range(40)], "age": np.arange(40.0), "income": np.arange(40) ** 2})


def people(frame: pd.DataFrame, ids: Sequence[str] = ("person",), features: Sequence[str] = ("age", "income")):
    return people_of(frame, ids, [name for name in features if name in frame])


def charge(folder: LedgerFolder, frame: pd.DataFrame, rounds: int = 10, **how: Sequence[str]):
    budget = folder.budget(people(frame, **how), TERMS)
    for number in range(rounds):
        budget.charge(f"round {number}", [ROUND])
    return budget


def cost(rounds: int) -> float:
    return pytest.approx(epsilon([ROUND] * rounds, TERMS.delta), abs=1e-6)


@pytest.fixture
def folder(tmp_path):
    return LedgerFolder(tmp_path / "ledgers")


ONE_MORE = pd.concat([TABLE, pd.DataFrame({"person": ["new"], "age": [7.5], "income": [2.5]})])
ID_LESS = {"ids": ()}


@pytest.mark.parametrize(
    "again",
    [
        ONE_MORE,
        TABLE.iloc[1:],
        TABLE.assign(person=["other", *TABLE.person[1:]]),
        TABLE.sample(8, random_state=0),
        TABLE.assign(age=0.0),
        TABLE.assign(town="x"),
        TABLE.drop(columns="income"),
    ],
    ids=["one more", "one less", "one changed", "a selection", "other values", "a column more", "a column less"],
)
def test_near_equal_people_go_on_spending_one_budget(folder, again) -> None:
    """Each of them had a budget of its own: four ledgers of 6.65 over the same people."""
    assert charge(folder, TABLE).spent == cost(10)
    budget = charge(folder, again)
    assert budget.spent == cost(20)
    assert budget.possible(lambda _: [ROUND]) == folder.budget(people(TABLE), TERMS).possible(lambda _: [ROUND])
    assert budget.report()["epsilon"] == budget.spent
    with pytest.raises(BudgetExceeded, match="Nothing was released"):
        charge(folder, again.head(5), 100)


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (range(40), [f"{row:05d}" for row in range(40)]),
        (range(40), np.arange(40.0)),
        ([f"{row}" for row in range(40)], [f" {row:03d} " for row in range(40)]),
        ([f"ab{row}" for row in range(40)], [f"AB-{row}" for row in range(40)]),
        ([f"7{row}" for row in range(40)], ["".join(chr(ord(c) + 0xFEE0) for c in f"7{row}") for row in range(40)]),
    ],
    ids=["leading zeros", "7.0 for 7", "blanks", "case and signs", "width"],
)
def test_ids_that_another_program_wrote_are_the_same_people(folder, first, again) -> None:
    """Each of these ways to write the same IDs had a whole budget of its own."""
    charge(folder, TABLE.assign(person=first))
    assert charge(folder, TABLE.assign(person=again)).spent == cost(20)


def test_ids_of_signs_alone_stay_different(folder) -> None:
    one, other = TABLE.assign(person="-" * 3), TABLE.assign(person="#" * 3)
    charge(folder, one)
    assert charge(folder, other).spent == cost(10)


def test_rows_without_ids_are_known_also_from_a_file_with_fewer_digits(folder) -> None:
    thirds = TABLE.assign(age=TABLE.age / 3)
    charge(folder, thirds, ids=())
    assert charge(folder, thirds.assign(age=thirds.age.astype(np.float32)), ids=()).spent == cost(20)


@pytest.mark.parametrize(
    "again",
    [ONE_MORE, TABLE.iloc[1:], TABLE.sample(8, random_state=0), TABLE.assign(town="x", street=7.0)],
    ids=["one more", "one less", "a selection", "columns more"],
)
def test_rows_without_ids_are_known_by_the_columns_they_had(folder, again) -> None:
    features = ("age", "income", "town", "street")
    charge(folder, TABLE, ids=(), features=features)
    assert charge(folder, again, ids=(), features=features).spent == cost(20)
    assert charge(folder, TABLE.assign(age=-1.0 - TABLE.age), ids=(), features=features).spent == cost(10)


def test_leaving_the_ids_out_or_adding_them_is_no_way_out(folder) -> None:
    charge(folder, TABLE)
    assert charge(folder, TABLE, ids=()).spent == cost(20)
    fresh = TABLE.assign(age=100 + TABLE.age)
    charge(folder, fresh, ids=())
    assert charge(folder, fresh.assign(person=[f"q{row}" for row in range(40)])).spent == cost(20)


def test_other_people_have_a_budget_of_their_own_also_where_they_are_alike(folder) -> None:
    charge(folder, TABLE)
    others = TABLE.assign(person=[f"q{row}" for row in range(40)])
    assert charge(folder, others, 5).spent == cost(5)
    assert folder.budget(people(TABLE), TERMS).spent == cost(10)
    assert charge(folder, TABLE.head(3), 1, ids=()).spent == cost(16), "by values it may be either, so both count"


def test_a_promise_to_people_is_not_raised_for_a_selection_of_them(folder) -> None:
    charge(folder, TABLE, 1)
    with pytest.raises(ComponentError, match="was charged under epsilon 8; a run cannot raise it to 20"):
        folder.budget(people(ONE_MORE), replace(TERMS, epsilon=20.0))
    with pytest.raises(ComponentError, match="counts with delta"):
        folder.budget(people(ONE_MORE), replace(TERMS, delta=1e-3))


@example(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.sets(st.integers(0, 11), min_size=1), st.integers(0, 3)),
        min_size=1,
        max_size=7,
    )
)
def test_what_is_spent_is_the_most_that_any_one_of_them_was_charged(tmp_path_factory, runs) -> None:
    folder, charged = LedgerFolder(tmp_path_factory.mktemp("ledgers")), np.zeros(12, int)
    for chosen, rounds in runs:
        rows = sorted(chosen)
        budget = folder.budget(people(TABLE.iloc[rows]), TERMS)
        if rounds:
            budget.charge("rounds", [replace(ROUND, steps=rounds)])
        charged[rows] += rounds
        assert budget.spent == (cost(charged[rows].max()) if charged[rows].max() else 0.0)
    for row in (0, 5, 11):
        spent = folder.budget(people(TABLE.iloc[[row]]), TERMS).spent
        assert spent == (cost(charged[row]) if charged[row] else 0.0)


def test_two_runs_at_once_see_each_others_charges(folder) -> None:
    one, other = folder.budget(people(TABLE), TERMS), folder.budget(people(ONE_MORE), TERMS)
    one.charge("a", [ROUND])
    other.charge("b", [ROUND])
    one.charge("c", [ROUND])
    assert one.spent == other.spent == cost(3)


def test_ledgers_of_before_there_was_a_register_count_against_everybody_until_their_people_come(
    folder, tmp_path
) -> None:
    charge(folder, TABLE)
    (tmp_path / "ledgers" / "people.bin").unlink()
    others = TABLE.assign(person=[f"q{row}" for row in range(40)], age=-5.0)
    assert folder.budget(people(others), TERMS).spent == cost(10)
    assert folder.budget(people(TABLE), TERMS).spent == cost(10)
    assert folder.budget(people(others), TERMS).spent == 0.0


def test_no_id_and_no_value_is_in_any_file_and_a_million_people_need_20_bytes_each(folder, tmp_path) -> None:
    marked = TABLE.assign(person=[f"CANARY{row}" for row in range(40)], age=31337.25)
    charge(folder, marked, 1)
    for path in (tmp_path / "ledgers").iterdir():
        content = path.read_bytes()
        assert b"CANARY" not in content
        assert np.float64(31337.25).tobytes() not in content
    assert (tmp_path / "ledgers" / "people.bin").stat().st_size < 40 * 2 * 12 + 2000
