"""What all trainings ever told about a holder's people by noised figures: charged before a training opens anything.

Fresh noise averages out, and training again on a stored table draws fresh noise, so what its figures cost is
remembered.

Stored    at each holder of columns, in its run ledger (see `run_ledger`), on a page of its own per party that learns
          figures: by the signing key that is pinned, without (in a simulation, under `comp_eval`) by the name.
Enforced  everywhere but in a simulation, where a limit that is passed is told.
Opens     that a limit is passed, with how much was spent.
"""

import secrets
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from secretflow.component.core import Context

from veilflow.components.alignment.ledger import book as ledger
from veilflow.components.alignment.ledger.book import Book, Party
from veilflow.components.alignment.ledger.store import LedgerStore
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.run_ledger import FOLDER
from veilflow.components.errors import ComponentError


def charge_figures(
    ctx: Context,
    holders: Sequence[str],
    told: Sequence[str],
    epsilon: Fraction,
    limit: Fraction,
    strict: bool | None = None,
) -> list[str]:
    """Enter at every holder what a training will tell each of ``told``; limits that are passed and only told.

    Args:
        holders: whose people are behind the figures.
        told: who learns them.
        epsilon: of all figures of the training.
        limit: for all time; 0: none.
        strict: whether a limit that is passed ends the run; None: everywhere but in a simulation.

    Raises:
        ComponentError: a limit is passed; at every party, before anything is opened.
    """
    enforced = not getattr(ctx, "simulation", False) if strict is None else strict
    keys = getattr(ctx, "pinned_keys", {})
    folder = Path(getattr(ctx, "data_root", None) or ctx.data_dir) / FOLDER
    training: str = publish(run_on(holders[0], secrets.token_hex, 16))

    def enter(holder: str) -> str:
        store = LedgerStore(folder)
        pages = [_page(party, keys.get(party, "")) for party in told if party != holder]
        try:
            store.update(lambda book: _charged(book, training, epsilon, pages, limit))
        except ComponentError as passed:
            if enforced:
                raise
            store.update(lambda book: ledger.charged(book, training, epsilon, pages))
            return str(passed)
        return ""

    found = publish({holder: run_on(holder, enter, holder) for holder in holders})
    return sorted({text for text in found.values() if text})


def _charged(book: Book, training: str, epsilon: Fraction, pages: Sequence[Party], limit: Fraction) -> Book:
    for page in pages:
        spent = sum((each.epsilon for each in ledger.charges_of(book, page)), Fraction())
        if limit and spent + epsilon > limit:
            raise ComponentError(
                f"run ledger: {page.name} have cost epsilon {float(spent):g} in all; {float(epsilon):g} "
                f"more would exceed {float(limit):g}, the limit for all time (lifetime_epsilon). Lower epsilon, agree "
                "on a limit, or use the model that is there."
            )
    return ledger.charged(book, training, epsilon, pages)


def _page(party: str, key: str) -> Party:
    """Apart from what the party was told of counts, whose limit is another one."""
    return Party(f"noised figures that {party} was told", f"figures:{key or party}")
