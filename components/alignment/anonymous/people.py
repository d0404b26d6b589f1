"""From a holder's table to what a protocol takes: one row per person, IDs packed, values in the ring.

Rows whose ID is missing (empty, or a missing cell in one of several ID columns) are dropped and counted. Rows that
repeat a person are an error, or only the first or last of them stays; the others are dropped and counted.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from veilflow.components.alignment.anonymous import ring
from veilflow.components.alignment.anonymous.id_text import id_text
from veilflow.components.alignment.anonymous.interface import Holding
from veilflow.components.alignment.anonymous.packed_ids import PackedIds, pack, tags
from veilflow.components.alignment.spec import IdRules
from veilflow.components.errors import ComponentError


@dataclass(frozen=True)
class People:
    """The rows of a table that take part in an alignment: one per person."""

    ids: PackedIds
    """Distinct."""
    rows: np.ndarray | None
    """int64, shape ``(len(ids),)``: where in the table each person's row stands, ascending; None: row by row."""
    counts: dict[str, int]
    """``rows`` of the table, ``missing`` (without a complete ID), ``duplicates`` (dropped), ``people`` (left)."""

    def rows_of(self, positions: np.ndarray) -> np.ndarray:
        """Where in the table the people at ``positions`` stand."""
        return positions if self.rows is None else self.rows[positions]


def hold(
    table: pa.Table, ids: Sequence[str], values: Sequence[str], rules: IdRules, duplicates: str, where: str
) -> tuple[Holding, dict[str, int]]:
    """A holder's people and the counts that become public.

    Args:
        table: arrow table with all of ``ids`` and ``values``.
        ids: columns that tell people apart, in the order of the other holders' columns.
        values: numeric or boolean columns that become secret shares.
        rules: normalisation of IDs.
        duplicates: ``error``, ``first`` or ``last``.
        where: the table's name in messages.

    Returns:
        The holding; and ``rows`` of the table, ``missing``, ``duplicates`` (dropped) and ``people`` (left).

    Raises:
        ComponentError: repeated people under ``error``; columns that are no numbers; cells that are missing, infinite
            or too large in a row that stays.
    """
    people = find_people(table, ids, rules, duplicates, where)
    columns = [_numbers(table[name], name, where) for name in values]
    if people.rows is not None:
        columns = [column[people.rows] for column in columns]
    found = ring.encode(columns, values, where) if columns else np.zeros((len(people.ids), 0), np.uint64)
    return Holding(people.ids, found), people.counts


def cut(holding: Holding, features: Sequence[int], bound: float) -> tuple[Holding, int]:
    """``holding`` with all values of the columns ``features`` cut to [-bound, bound], and how many cells that changed.

    A row with values far from all others' moves a model visibly, which would tell whether that one person is common.
    """
    limit = round(bound * 2**ring.FRACTION_BITS)
    values = holding.values.view(np.int64).copy()
    own = values[:, list(features)]
    values[:, list(features)] = np.clip(own, -limit, limit)
    return replace(holding, values=values.view(np.uint64)), int((np.abs(own) > limit).sum())


def find_people(table: pa.Table, ids: Sequence[str], rules: IdRules, duplicates: str, where: str) -> People:
    """Normalise the IDs of ``table``, drop rows without one, and leave one row per person; arguments as in `hold`.

    Raises:
        ComponentError: repeated people under ``error``; a float column that cannot hold its IDs exactly.
    """
    text = id_text(table, ids, rules, where)
    counts = {"rows": len(text), "missing": text.null_count, "duplicates": 0, "people": len(text) - text.null_count}
    kept = None
    if text.null_count:
        kept = np.flatnonzero(text.is_valid().to_numpy(zero_copy_only=False))
        text = text.drop_null()
    packed = pack(text)
    single = _first_or_last(packed, duplicates)
    if single is None:
        return People(packed, kept, counts)
    counts["duplicates"], counts["people"] = len(packed) - len(single), len(single)
    if duplicates == "error":
        raise ComponentError(
            f"{where}: {counts['duplicates']} row(s) repeat an ID of another row. "
            f"Set duplicates to first or last, or choose ID columns that tell people apart."
        )
    return People(packed.take(single), single if kept is None else kept[single], counts)


def _first_or_last(ids: PackedIds, duplicates: str) -> np.ndarray | None:
    """Positions of one row per person, ascending; None where nobody is repeated.

    Rows are compared by tags under a key of the moment, which is much faster than comparing the rows themselves; two
    people have the same tag with a chance of n^2 / 2^129.
    """
    marks = tags(ids, secrets.token_bytes(32))
    halves = np.sort(marks[:, 0])
    if not (halves[1:] == halves[:-1]).any():
        return None
    order = np.lexsort((np.arange(len(marks)), marks[:, 1], marks[:, 0]))
    ordered = marks[order]
    differs = (ordered[1:] != ordered[:-1]).any(axis=1)
    edge = np.ones(1, bool)
    single = np.concatenate([differs, edge] if duplicates == "last" else [edge, differs])
    return None if single.all() else np.sort(order[single])


def _numbers(column: pa.ChunkedArray, name: str, where: str) -> np.ndarray:
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        column = column.cast(pa.float64(), safe=False)
    elif not pa.types.is_floating(kind):
        raise ComponentError(
            f"{where}: column '{name}' is {kind}, and only numbers can be shared: encode it before, or leave it out."
        )
    found: np.ndarray = column.to_numpy()
    return found
