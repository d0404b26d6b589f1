"""Columns that single out a few people, noticed by their holder before anything is shared.

A column that is 1 for one person and 0 for all others makes the sum opened for it that person's own gradient. The
noise bounds what it tells (`account`), whatever the columns are; but such a column gives away all of what epsilon
allows, for nothing. A holder that wants to attack can leave this check out: it protects against accidents.
"""

from collections.abc import Sequence

import numpy as np

from veilflow.components.errors import ComponentError

MINIMUM = 10
"""Rows that must differ from a column's commonest value, unless none does."""

_SHOWN = 5


def require_support(x: np.ndarray, columns: Sequence[str]) -> None:
    """Refuse columns in which fewer than `MINIMUM` rows, but some, differ from the commonest value.

    Args:
        x: rows x columns.

    Raises:
        ComponentError: with the columns' names and how many there are, not how many rows.
    """
    found = [name for name, column in zip(columns, x.T, strict=True) if 0 < _others(column) < MINIMUM]
    if found and len(x) >= 2 * MINIMUM:  # fewer rows make no batch, and that is what is wrong then
        shown = ", ".join(found[:_SHOWN]) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
        raise ComponentError(
            f"{shown}: fewer than {MINIMUM} of {len(x)} rows differ from the commonest value, so sums over this column "
            "are about single people. Leave it out ('drop' in data/read_table) or merge it with another one."
        )


def _others(column: np.ndarray) -> int:
    return len(column) - int(np.unique(column, return_counts=True)[1].max(initial=0))
