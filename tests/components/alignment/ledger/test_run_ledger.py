"""The run ledger: what it refuses, what it lets pass, and that it cannot be made to forget."""

import json
import os
import stat
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veilflow.components.alignment.anonymous.packed_ids import pack
from veilflow.components.alignment.ledger.book import DAY, Arrival, Book, Party, charged, enter, entered
from veilflow.components.alignment.ledger.document import (
    from_json,
    input_from_json,
    input_to_json,
    sketch_from_json,
    sketch_to_json,
    to_json,
)
from veilflow.components.alignment.ledger.rules import LedgerRules
from veilflow.components.alignment.ledger.sketch import sketch, sketch_input
from veilflow.components.alignment.ledger.store import LedgerStore
from veilflow.components.errors import ComponentError

KEY = bytes(range(32))
RULES = LedgerRules()


def ids(numbers):
    return pack(pa.array([f"p{number}" for number in numbers], pa.large_string()))


INSURER, HOSPITAL, BANK = (Party(name) for name in ("insurer", "hospital", "bank"))


def came(numbers, at=0.0, run="r", key=KEY, owner=INSURER, partners=(HOSPITAL,), own=True, values=None, asked=""):
    """An input that arrives; ``values`` holds a number per person, or is left out."""
    columns = np.zeros((len(numbers), 0), np.uint64) if values is None else np.array(values, np.uint64)[:, None]
    found = sketch_input(ids(numbers), columns, ["label"][: columns.shape[1]], key, asked)
    return Arrival(at, run, owner, own, partners, found)


def after(*arrivals, rules=RULES):
    book = Book()
    for number, each in enumerate(arrivals):
        book = enter(book, replace(each, run=f"r{number}"), rules)
    return book


def keep(store, arrival):
    store.update(lambda book: entered(book, arrival, RULES))


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(0, 3000), max_size=500), st.sets(st.integers(0, 3000), max_size=500))
def test_sketches_tell_in_how_many_people_two_sets_differ(one, other):
    apart = len(one ^ other)
    found = sketch(ids(sorted(one)), KEY).difference(sketch(ids(sorted(other)), KEY))
    assert (found == 0) == (apart == 0)
    assert abs(found - apart) <= 0.2 * apart + 3


def test_order_does_not_matter_and_one_person_does():
    whole = list(range(10_000))
    base = sketch(ids(whole), KEY)
    assert base.difference(sketch(ids(whole[::-1]), KEY)) == 0
    assert base.difference(sketch(ids(whole[1:]), KEY)) == 1
    assert sketch(ids(whole), bytes(32)).difference(base) > 1000, "without the key nothing can be compared"


def test_the_same_input_may_meet_the_same_partner_again():
    assert len(after(*[came(range(500))] * 5).entries) == 5


@pytest.mark.parametrize("removed", [1, 10, 49])
def test_nearly_the_same_input_is_refused(removed):
    book = after(came(range(500)))
    with pytest.raises(
        ComponentError, match="nearly that of an earlier run with hospital: they differ in fewer than 50"
    ):
        enter(book, came(range(removed, 500)), RULES)
    assert enter(book, came(range(200, 700)), RULES)
    assert enter(book, came(range(removed, 500)), LedgerRules(change=0))
    assert enter(book, came(range(removed, 500), partners=(BANK,)), RULES), "another partner, another pair"


def test_one_person_swapped_for_another_is_refused():
    with pytest.raises(ComponentError, match="nearly that"):
        enter(after(came(range(1000))), came([*range(1, 1000), 5000]), RULES)


def test_few_people_are_refused():
    with pytest.raises(ComponentError, match="insurer brings 99 people, at least 100"):
        enter(Book(), came(range(99)), RULES)
    assert enter(Book(), came(range(99)), LedgerRules(minimum=99))


def test_only_some_different_inputs_meet_the_same_partner():
    several = [came(range(at, at + 500)) for at in range(0, 2000, 500)]
    book = after(*several)
    with pytest.raises(ComponentError, match="has used 4 different inputs with hospital in 30 days"):
        enter(book, came(range(5000, 5500)), RULES)
    assert enter(book, several[0], RULES), "an input that was there before tells nothing new"
    assert enter(book, came(range(5000, 5500), at=31 * DAY), RULES), "after 30 days old runs are forgotten"


def test_runs_per_day_are_limited_and_a_run_counts_once():
    same = came(range(300))
    book = after(*[same] * 20)
    with pytest.raises(ComponentError, match="has had 20 runs with hospital within 24 hours"):
        enter(book, came(range(300), run="another"), RULES)
    assert enter(book, came(range(300), run="another", at=1.5 * DAY), RULES)
    assert enter(replace(book, entries=book.entries[:19]), replace(same, run="r3"), RULES)


def test_another_key_cannot_hide_what_changed():
    with pytest.raises(ComponentError, match="ledger key is another one than before"):
        enter(after(came(range(500))), came(range(1, 500), key=bytes(32)), RULES)


def halve(count, refuse):
    """Guo et al. 2022: sure memberships that an attacker gets from counts of halves; ``refuse(people)`` may stop it."""
    decided, runs, waiting, known = 0, 0, [list(range(1000))], {}
    while waiting:
        people = waiting.pop(0)
        matched = known.pop(tuple(people), None)
        if matched is None:
            if refuse(people):
                continue
            runs, matched = runs + 1, count(people)
        if matched in (0, len(people)):
            decided += len(people)
        elif runs < 30:
            one, other = people[: len(people) // 2], people[len(people) // 2 :]
            if refuse(one):
                continue
            runs += 1
            found = count(one)
            known[tuple(one)], known[tuple(other)] = found, matched - found
            waiting += [one, other]
            waiting.sort(key=lambda each: known[tuple(each)] / len(each))
    return decided


def test_the_halving_attack_decides_at_most_a_group():
    rng = np.random.default_rng(7)
    without, with_ledger = [], []
    for _ in range(10):
        common = set(rng.permutation(1000)[:20].tolist())
        book = [Book()]

        def refuse(people, book=book):
            try:
                book[0] = enter(book[0], came(people, run=str(len(book[0].entries))), RULES)
            except ComponentError:
                return True
            return False

        def count(people, common=common):
            return len(common.intersection(people))

        without.append(halve(count, lambda people: False))
        with_ledger.append(halve(count, refuse))
    assert np.mean(without) > 600, "30 runs decide most of 1000 people"
    # What is left: that a group of 125 has nobody in common, in half of the tables. Nobody is found who *is* common.
    assert np.mean(with_ledger) < 100
    assert max(with_ledger) <= 250


def test_a_book_survives_being_written():
    values = [each % 2 for each in range(700)]
    one, same = came(range(700), 12.5, values=values, asked="minimum 20"), came(range(700), 13.0, "s")
    book = entered(entered(Book(), one, RULES), replace(one, time=13.0, run="s"), RULES)
    book = charged(entered(book, same, RULES), "abc", Fraction(1, 3), [HOSPITAL, BANK])
    document = json.loads(json.dumps(to_json(book)))
    assert len(document["inputs"]) == 2, "an input that takes part often stands there once"
    again = from_json(document)
    assert again.charges == book.charges
    for found, kept in zip(again.entries, book.entries, strict=True):
        assert (found.time, found.owner, found.partners, found.run) == (kept.time, kept.owner, kept.partners, kept.run)
        assert found.input.name == kept.input.name
        np.testing.assert_array_equal(found.input.people.counters, kept.input.people.counters)


@pytest.mark.parametrize(
    "wrong", [{}, {"counters": "!"}, {"counters": "eJwDAAAAAAE="}, {"people": -1}, {"people": "x"}]
)
def test_a_partners_statement_that_is_none_is_refused(wrong):
    good = sketch_to_json(came(range(10)).input.people)
    statement = {**good, **wrong} if wrong else {}
    with pytest.raises(ComponentError, match="statement about its input cannot be read"):
        sketch_from_json(statement)
    valued = input_to_json(came(range(10), values=range(10)).input)
    for part in ("people", "rows"):
        with pytest.raises(ComponentError, match="statement about its input cannot be read"):
            input_from_json({**valued, part: statement})
    with pytest.raises(ComponentError, match="statement about its input cannot be read"):
        input_from_json({**valued, "rows": sketch_to_json(came(range(9)).input.people)})


def test_the_ledger_is_private_and_survives_its_process(tmp_path):
    folder = tmp_path / "ledger"
    store = LedgerStore(folder)
    key = store.key()
    keep(store, came(range(200), key=key))
    again = LedgerStore(folder)
    assert again.key() == key
    assert [each.input.people.people for each in again.book().entries] == [200]
    for name in ("key", "book.json"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_refused_run_changes_nothing(tmp_path):
    store = LedgerStore(tmp_path)
    store.update(lambda book: enter(book, came(range(500)), RULES))
    with pytest.raises(ComponentError, match="nearly"):
        store.update(lambda book: enter(book, came(range(1, 500)), RULES))
    assert len(store.book().entries) == 1


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda folder: (folder / "book.json").unlink(), "missing or damaged"),
        (lambda folder: (folder / "book.json").write_text("{}"), "missing or damaged"),
        (lambda folder: (folder / "key").unlink(), "key is missing"),
        (lambda folder: (folder / "key").write_bytes(b"short"), "key is damaged"),
        (lambda folder: (folder / "key").write_bytes(bytes(32)), "was changed"),
        (lambda folder: edit(folder), "was changed"),
    ],
)
def test_a_ledger_that_forgot_is_refused(tmp_path, damage, why):
    store = LedgerStore(tmp_path)
    keep(store, came(range(200)))
    damage(tmp_path)
    with pytest.raises(ComponentError, match=why):
        store.update(lambda book: book)


def edit(folder):
    document = json.loads((folder / "book.json").read_text())
    body = json.loads(document["body"])
    body["book"]["entries"] = []
    document["body"] = json.dumps(body)
    (folder / "book.json").write_text(json.dumps(document))


def test_an_old_book_put_back_is_refused(tmp_path):
    store = LedgerStore(tmp_path)
    store.key()
    before = (tmp_path / "book.json").read_bytes()
    keep(store, came(range(200)))
    (tmp_path / "book.json").write_bytes(before)
    with pytest.raises(ComponentError, match="older than the last run"):
        store.book()


@pytest.mark.parametrize("steps", range(1, 5))
def test_a_crash_at_any_moment_leaves_a_usable_ledger(tmp_path, steps, monkeypatch):
    """The process dies before its ``steps``-th file is in place; the next one goes on, with the old or the new book."""
    store = LedgerStore(tmp_path)
    if steps > 3:  # 1 to 3: at the very first use
        store.key()
    done, fsync = [], os.fsync

    def dying(handle):
        done.append(handle)
        if len(done) == 2 * steps - 1 if steps <= 3 else len(done) == 3:
            raise KeyboardInterrupt
        fsync(handle)

    monkeypatch.setattr(os, "fsync", dying)
    with pytest.raises(KeyboardInterrupt):
        keep(store, came(range(200)))
    monkeypatch.undo()
    keep(LedgerStore(tmp_path), came(range(300)))
    assert [each.input.people.people for each in LedgerStore(tmp_path).book().entries] in ([300], [200, 300])
