"""Every holder's run ledger in a run: `charge` before a protocol sends anything.

Stored    at each holder, in ``.run_ledger`` below its data root (its own folder in simulation): see `ledger.store`.
Opens     to the other holders: a keyed sketch of each holder's input (`ledger.sketch`), from which they learn in how
          many people its inputs of different runs differ. Refusals are published, with counts.
"""

import json
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from secretflow.component.core import Context

from veilflow.components.alignment.anonymous.packed_ids import PackedIds
from veilflow.components.alignment.ledger.book import Entry, enter, sketch_from_json, sketch_to_json
from veilflow.components.alignment.ledger.rules import LedgerRules
from veilflow.components.alignment.ledger.sketch import sketch
from veilflow.components.alignment.ledger.store import LedgerStore
from veilflow.components.devices.events import receipt
from veilflow.components.devices.pyu import publish, run_on, send_to
from veilflow.components.errors import ComponentError

FOLDER = ".run_ledger"


def charge(ctx: Context, ids: Mapping[str, Any], rules: LedgerRules, enforce: str = "production") -> list[str]:
    """Enter a run of these holders in the ledger of each, or refuse it at all of them.

    Args:
        ids: holder -> its `PackedIds`, at the holder.
        enforce: ``production`` (in a simulation a broken rule is only told) or ``always``.

    Returns:
        What was broken and only told; known to all.

    Raises:
        ComponentError: a rule forbids the run; at every party. What was entered stays entered.
    """
    strict = enforce == "always" or not getattr(ctx, "simulation", False)
    book = _Holders(ctx, tuple(ids), rules, strict)
    name: str = publish(run_on(next(iter(ids)), secrets.token_hex, 16))
    statements = {holder: run_on(holder, book.state, found) for holder, found in ids.items()}
    own = {holder: run_on(holder, book.enter_one, holder, holder, found, name) for holder, found in statements.items()}
    told = list(publish(own).values())  # nothing has left a holder before all have agreed
    for holder in ids:
        others = {
            other: run_on(holder, book.enter_one, holder, other, send_to(holder, found, "ledger_statement"), name)
            for other, found in statements.items()
            if other != holder
        }
        told += publish(others).values()
    found = sorted({text for text in told if text})
    if ctx.self_party in ids:
        receipt(ctx, "run_ledger", enforced=strict, **vars(rules))
    return found


class _Holders:
    """What runs at the holders."""

    def __init__(self, ctx: Context, holders: tuple[str, ...], rules: LedgerRules, strict: bool) -> None:
        root = getattr(ctx, "data_root", None) or ctx.data_dir
        self._folder = Path(root) / FOLDER
        self._holders, self._rules, self._strict = holders, rules, strict

    def state(self, ids: PackedIds) -> bytes:
        """A holder's statement about its input."""
        return json.dumps(sketch_to_json(sketch(ids, LedgerStore(self._folder).key()))).encode()

    def enter_one(self, here: str, owner: str, statement: bytes, run: str) -> str:
        """Enter ``owner``'s input in the ledger at ``here``; what was broken, where that is only told."""
        del here
        partners = tuple(sorted(holder for holder in self._holders if holder != owner))
        entry = Entry(time.time(), owner, partners, run, sketch_from_json(json.loads(statement)))
        store = LedgerStore(self._folder)
        try:
            store.update(lambda book: enter(book, entry, self._rules))
        except ComponentError as broken:
            if self._strict:
                raise
            text = str(broken)
        else:
            return ""
        store.update(lambda book: (*book, entry))
        return text
