"""The ledger's pages and the decision whether another run may be entered: no files, no clock.

A page is what happened with one partner, whoever else took part: the holder's own inputs in runs with it, and the
partner's inputs. A partner is its signing key where the parties have pinned one, so that another name opens no new
page; without keys (in a simulation) it is its name. What was kept under a name goes on when the party has a key.

A run is entered before anything about it is sent, and stays entered if it fails. Each holder enters its own input and,
from the sketch that comes with the run, every partner's, so that a partner without its own ledger is held to the same
rules. A question about a count is charged once to the page of every partner that learns the answer, for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from veilflow.components.alignment.ledger.rules import LedgerRules
from veilflow.components.alignment.ledger.sketch import Input
from veilflow.components.errors import ComponentError

DAY = 86_400.0
KEPT_DAYS = 400
"""How long entries are kept at least: a run with few `LedgerRules.days` must not make the next one forget."""
OWN = "own"
"""Owner of the holder's own inputs in its own book, whatever it is called and whichever key it has."""
_NAMED = "name:"


@dataclass(frozen=True)
class Party:
    """A party of a run."""

    name: str
    """As the pipeline calls it; for messages."""
    key: str = ""
    """Its pinned public signing key as text; empty where there is none."""

    @property
    def id(self) -> str:
        """What the book calls it."""
        return self.key or named(self.name)

    def known_as(self, id: str) -> bool:
        """Whether ``id`` in the book is this party."""
        return id in (self.id, named(self.name))


def named(name: str) -> str:
    """What the book calls a party without a key."""
    return f"{_NAMED}{name}"


@dataclass(frozen=True)
class Entry:
    """One input that took part in one run."""

    time: float
    """Seconds since 1970."""
    owner: str
    """`OWN`, or a partner's id."""
    partners: tuple[str, ...]
    """Ids of the parties whose input it met, sorted."""
    run: str
    """Hex digits that all inputs of a run have in common."""
    input: Input


@dataclass(frozen=True)
class Charge:
    """A question that a partner was answered with noise."""

    partner: str
    """Its id."""
    question: str
    """Hex digits, see `noise.question_name`."""
    epsilon: Fraction


@dataclass(frozen=True)
class Book:
    """All that a holder remembers."""

    entries: tuple[Entry, ...] = ()
    charges: tuple[Charge, ...] = ()


@dataclass(frozen=True)
class Arrival:
    """An input that is about to take part in a run of the holder of the book."""

    time: float
    run: str
    owner: Party
    own: bool
    """Whether the owner is the holder of the book."""
    partners: tuple[Party, ...]
    """Whose inputs it meets: of the holder's own all partners, of a partner's the holder."""
    input: Input

    def entry(self) -> Entry:
        owner = OWN if self.own else self.owner.id
        return Entry(self.time, owner, tuple(sorted(each.id for each in self.partners)), self.run, self.input)

    def page(self, book: Book, partner: Party) -> list[Entry]:
        """Earlier entries that count together with this one: the same owner's, in runs with ``partner``."""
        if not self.own:  # whatever stands in the book met its holder, under whichever name and key that had then
            return [each for each in book.entries if self.owner.known_as(each.owner)]
        mine = (each for each in book.entries if each.owner == OWN or self.owner.known_as(each.owner))
        return [each for each in mine if any(map(partner.known_as, each.partners))]


def enter(book: Book, arrival: Arrival, rules: LedgerRules) -> Book:
    """The book with ``arrival``; what is older than the rules remember is left out.

    Raises:
        ComponentError: a rule forbids the run; the book stays as it is.
    """
    _require_size(arrival, rules)
    for partner in arrival.partners:
        page = arrival.page(book, partner)
        _require_rate(page, arrival, partner, rules)
        recent = [each.input for each in page if each.time > arrival.time - rules.days * DAY]
        _require_change(recent, arrival, partner, rules)
    return entered(book, arrival, rules)


def entered(book: Book, arrival: Arrival, rules: LedgerRules) -> Book:
    """The book with ``arrival``, whatever the rules say of it."""
    oldest = arrival.time - max(rules.days, KEPT_DAYS) * DAY
    return replace(book, entries=(*(each for each in book.entries if each.time > oldest), arrival.entry()))


def charge(book: Book, question: str, epsilon: Fraction, partners: Sequence[Party], rules: LedgerRules) -> Book:
    """The book with a question that ``partners`` are about to be answered; one they were answered before costs nothing.

    Raises:
        ComponentError: a partner would have been told more than the rules allow.
    """
    for partner in partners:
        page = charges_of(book, partner)
        spent = sum((each.epsilon for each in page), Fraction())
        if any(each.question == question for each in page) or not rules.epsilon:
            continue
        if spent + epsilon > Fraction(rules.epsilon).limit_denominator(1_000_000):
            raise ComponentError(
                f"run ledger: numbers with noise that {partner.name} was told have cost epsilon {float(spent):g}; "
                f"{float(epsilon):g} more would exceed {rules.epsilon:g}, the limit for all time (ledger epsilon). Use "
                f"inputs that were there before, which get the same noise again and cost nothing, or agree on a limit."
            )
    return charged(book, question, epsilon, partners)


def charged(book: Book, question: str, epsilon: Fraction, partners: Sequence[Party]) -> Book:
    """The book with a question, whatever the rules say of it."""
    fresh = [
        Charge(partner.id, question, epsilon)
        for partner in partners
        if not any(each.question == question for each in charges_of(book, partner))
    ]
    return replace(book, charges=(*book.charges, *fresh))


def charges_of(book: Book, partner: Party) -> list[Charge]:
    """What ``partner`` was ever charged for."""
    return [each for each in book.charges if partner.known_as(each.partner)]


def _require_size(arrival: Arrival, rules: LedgerRules) -> None:
    people = arrival.input.people.people
    if people < rules.minimum:
        raise ComponentError(
            f"run ledger: {arrival.owner.name} brings {people} people, at least {rules.minimum} are wanted "
            f"(ledger minimum): results on few people tell who they are."
        )


def _require_rate(page: Iterable[Entry], arrival: Arrival, partner: Party, rules: LedgerRules) -> None:
    today = len({each.run for each in page if each.time > arrival.time - DAY} - {arrival.run})
    if rules.runs and today >= rules.runs:
        raise ComponentError(
            f"run ledger: {arrival.owner.name} has had {today} runs with {partner.name} within 24 hours, as many "
            f"as are allowed (ledger runs). Wait, or use the stored result of an earlier run."
        )


def _require_change(recent: Sequence[Input], arrival: Arrival, partner: Party, rules: LedgerRules) -> None:
    before = _different(recent)
    if arrival.input.name in {each.name for each in recent}:
        return  # the same people with the same values: the same result, with the same noise
    if rules.inputs and len(_different([*recent, arrival.input])) > max(rules.inputs, len(before)):
        raise ComponentError(
            f"run ledger: {arrival.owner.name} has used {len(before)} different inputs with {partner.name} in "
            f"{rules.days} days, as many as are allowed (ledger inputs)."
        )
    for known in {each.name: each for each in recent}.values():
        _require_far(known, arrival, partner, rules)


def _different(inputs: Iterable[Input]) -> set[tuple[str, str, str]]:
    """Names of inputs that tell different things; people without values tell nothing beside the same with some."""
    found = {each.name for each in inputs}
    valued = {people for people, rows, _ in found if rows}
    return {each for each in found if each[1] or each[0] not in valued}


def _require_far(known: Input, arrival: Arrival, partner: Party, rules: LedgerRules) -> None:
    owner, mine = arrival.owner.name, arrival.input
    if known.people.key != mine.people.key:
        raise ComponentError(
            f"run ledger: {owner}'s ledger key is another one than before, so its input cannot be compared with "
            f"earlier ones. Restore its ledger folder, or wait until the {rules.days} days are over."
        )
    least = rules.change * max(known.people.people, mine.people.people)
    if known.people.digest != mine.people.digest:
        apart, what = float(mine.people.difference(known.people)), "they differ in fewer than"
    elif known.rows is None or mine.rows is None or known.rows.digest == mine.rows.digest:
        return  # nothing, or only what is asked, differs
    else:  # a changed row is one less and one more
        apart, what = mine.rows.difference(known.rows) / 2, "the same people, with other values of fewer than"
    if apart < least:
        raise ComponentError(
            f"run ledger: {owner}'s input is nearly that of an earlier run with {partner.name}: "
            f"{what} {least:.0f} people (ledger change). The difference of two results would be "
            f"about those few. Use the same input again, or one that differs more."
        )
