"""Every holder's run ledger in a run: `charge` before a protocol sends anything.

Stored    at each holder, in ``.run_ledger`` below its data root (its own folder in simulation): see `ledger.store`.
Pages     by the signing keys that the parties have pinned; without (in a simulation, under `comp_eval`) by their names.
Opens     to the other holders: keyed sketches of each holder's input (`ledger.sketch`), from which they learn in how
          many people, and in how many people's values, its inputs of different runs differ. Refusals are published,
          with counts.
"""

import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secretflow.component.core import Context

from veilflow.components.alignment.anonymous.interface import Holding
from veilflow.components.alignment.ledger import book as ledger
from veilflow.components.alignment.ledger.book import Arrival, Book, Party
from veilflow.components.alignment.ledger.document import input_from_json, input_to_json
from veilflow.components.alignment.ledger.noise import Question, noise_key, question_name
from veilflow.components.alignment.ledger.rules import LedgerRules
from veilflow.components.alignment.ledger.sketch import sketch_input
from veilflow.components.alignment.ledger.store import LedgerStore
from veilflow.components.devices.events import receipt
from veilflow.components.devices.pyu import publish, run_on, send_to
from veilflow.components.errors import ComponentError

FOLDER = ".run_ledger"


@dataclass(frozen=True)
class Charged:
    """What a run was entered with."""

    told: list[str]
    """Rules that were broken and only told; known to all."""
    noise: Mapping[str, Any]
    """Holder -> at the holder, the key of what it draws alike whenever the question is asked; None: nothing is."""


def charge(
    ctx: Context,
    holdings: Mapping[str, Any],
    columns: Mapping[str, Sequence[str]],
    rules: LedgerRules,
    enforce: str = "production",
    question: Question | None = None,
    asked: str = "",
) -> Charged:
    """Enter a run of these holders in the ledger of each, or refuse it at all of them.

    Args:
        holdings: holder -> its `Holding`, at the holder.
        columns: holder -> names of its holding's values.
        enforce: ``production`` (in a simulation a broken rule is only told) or ``always``.
        question: what the run will tell with noise, if it does.
        asked: what it will tell exactly by choice, see `sketch.Input`.

    Raises:
        ComponentError: a rule forbids the run; at every party. What was entered stays entered.
    """
    strict = enforce == "always" or not getattr(ctx, "simulation", False)
    keys = getattr(ctx, "pinned_keys", {})
    parties = {holder: Party(holder, keys.get(holder, "")) for holder in holdings}
    book = _Holders(ctx, parties, rules, strict, question)
    name: str = publish(run_on(next(iter(holdings)), secrets.token_hex, 16))
    stated = {holder: run_on(holder, book.state, found, columns[holder], asked) for holder, found in holdings.items()}
    told = list(
        publish({holder: run_on(holder, book.enter_own, holder, stated[holder], name) for holder in stated}).values()
    )
    found = {}  # nothing has left a holder before all have agreed
    for holder in stated:
        others = [other for other in stated if other != holder]
        sent = [send_to(holder, stated[other], "ledger_statement") for other in others]
        found[holder] = run_on(holder, book.enter_others, holder, name, others, stated[holder], *sent, returns=2)
    for texts in publish({holder: pair[0] for holder, pair in found.items()}).values():
        told += texts
    if ctx.self_party in holdings:
        receipt(ctx, "run_ledger", enforced=strict, pages="pinned keys" if keys else "names", **vars(rules))
    return Charged(sorted({text for text in told if text}), {holder: pair[1] for holder, pair in found.items()})


def ledger_key(ctx: Context) -> Callable[[], bytes]:
    """The key of a party's own ledger, to be called there; drawn where there is none yet."""
    return LedgerStore(Path(getattr(ctx, "data_root", None) or ctx.data_dir) / FOLDER).key


class _Holders:
    """What runs at the holders."""

    def __init__(
        self, ctx: Context, parties: Mapping[str, Party], rules: LedgerRules, strict: bool, question: Question | None
    ) -> None:
        root = getattr(ctx, "data_root", None) or ctx.data_dir
        self._folder = Path(root) / FOLDER
        self._parties, self._rules, self._strict, self._question = parties, rules, strict, question

    def state(self, held: Holding, names: Sequence[str], asked: str) -> bytes:
        """A holder's statement about its input."""
        found = sketch_input(held.ids, held.values, names, LedgerStore(self._folder).key(), asked)
        return json.dumps(input_to_json(found)).encode()

    def enter_own(self, here: str, statement: bytes, run: str) -> str:
        """Enter the input of ``here`` in its own ledger; what was broken, where that is only told."""
        partners = tuple(party for name, party in self._parties.items() if name != here)
        found = input_from_json(json.loads(statement))
        return self._enter(Arrival(time.time(), run, self._parties[here], True, partners, found))

    def enter_others(
        self, here: str, run: str, others: Sequence[str], own: bytes, *statements: bytes
    ) -> tuple[list[str], bytes | None]:
        """Enter the inputs of ``others`` and the question; what was broken, and the key of this holder's noise."""
        me, partners = self._parties[here], [self._parties[other] for other in others]
        inputs = [input_from_json(json.loads(each)) for each in statements]
        told = [
            self._enter(Arrival(time.time(), run, partner, False, (me,), found))
            for partner, found in zip(partners, inputs, strict=True)
        ]
        if self._question is None:
            return told, None
        mine = input_from_json(json.loads(own))
        key = noise_key(
            LedgerStore(self._folder).key(), self._question, mine.people, [found.people for found in inputs]
        )
        if not self._question.epsilon:
            return told, key
        asked = (question_name(key), self._question.epsilon, partners)
        told.append(
            self._update(
                lambda book: ledger.charge(book, *asked, self._rules), lambda book: ledger.charged(book, *asked)
            )
        )
        return told, key

    def _enter(self, arrival: Arrival) -> str:
        return self._update(
            lambda book: ledger.enter(book, arrival, self._rules),
            lambda book: ledger.entered(book, arrival, self._rules),
        )

    def _update(self, by_the_rules: Callable[[Book], Book], anyway: Callable[[Book], Book]) -> str:
        """Change the book; where a rule forbids it and that is only told, what it says."""
        store = LedgerStore(self._folder)
        try:
            store.update(by_the_rules)
        except ComponentError as broken:
            if self._strict:
                raise
            text = str(broken)
        else:
            return ""
        store.update(anyway)
        return text
