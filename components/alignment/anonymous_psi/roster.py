"""Whose tables are aligned by which columns, and what becomes shares: worked out from public schemas alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from veilflow.components.alignment.anonymous.interface import Column
from veilflow.components.data.names import require_free
from veilflow.components.errors import ComponentError


@dataclass(frozen=True)
class Schema:
    """One holder's columns by kind, in the table's order."""

    ids: tuple[str, ...]
    features: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return self.ids + self.features + self.labels


@dataclass(frozen=True)
class Roster:
    """What every holder brings."""

    ids: Mapping[str, tuple[str, ...]]
    """Holder -> columns that tell people apart."""
    columns: Mapping[str, tuple[Column, ...]]
    """Holder -> columns that become shares: features, then the label."""


def make_roster(schemas: Sequence[tuple[str, Schema]], chosen: Sequence[str]) -> Roster:
    """What ``schemas`` (holder, schema; in order) say, with ``chosen`` ID columns as ``party:column``.

    Raises:
        ComponentError: fewer than two holders, two tables of one party, no or unequal numbers of ID columns, two
            columns of one name, two labels, or nothing to share.
    """
    holders = [party for party, _ in schemas]
    if len(holders) < 2 or len(set(holders)) < len(holders):
        raise ComponentError(f"an alignment takes one table of each of two or more parties, got {_listed(holders)}.")
    picked = _picked(chosen, dict(schemas))
    ids = {party: picked[party] or schema.ids for party, schema in schemas}
    without = [party for party, names in ids.items() if not names]
    if without:
        raise ComponentError(
            f"the table(s) of {_listed(without)} have no ID column: set id to party:column, or id where they are read."
        )
    if len({len(names) for names in ids.values()}) > 1:
        seen = "; ".join(f"{party} by {_listed(names)}" for party, names in ids.items())
        raise ComponentError(f"people are told apart {seen}: name the same number of columns, in the same order.")
    columns = {party: _shared(party, schema, ids[party]) for party, schema in schemas}
    _require_one_table(columns)
    return Roster(ids, columns)


def _picked(chosen: Sequence[str], schemas: Mapping[str, Schema]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {party: [] for party in schemas}
    for entry in chosen:
        party, colon, name = entry.partition(":")
        if not colon or party not in schemas:
            raise ComponentError(f"id: '{entry}' should be party:column, with a party of {_listed(schemas)}.")
        if name not in schemas[party].names:
            raise ComponentError(f"id: {party}'s table has no column '{name}'; it has {_listed(schemas[party].names)}.")
        found[party].append(name)
    return {party: tuple(names) for party, names in found.items()}


def _shared(party: str, schema: Schema, ids: Sequence[str]) -> tuple[Column, ...]:
    features = [Column(name, party) for name in schema.features if name not in ids]
    labels = [Column(name, party, "label") for name in schema.labels if name not in ids]
    return (*features, *labels)


def _require_one_table(columns: Mapping[str, Sequence[Column]]) -> None:
    names = [column.name for found in columns.values() for column in found]
    if not names:
        raise ComponentError("no table has a feature or a label besides its IDs: there is nothing to share.")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ComponentError(f"more than one table has column(s) {_listed(repeated)}: rename or leave them out at one.")
    require_free(names, "a column that is shared")
    labels = [column.owner for found in columns.values() for column in found if column.kind == "label"]
    if len(labels) > 1:
        raise ComponentError(
            f"{_listed(labels)} hold a label each, and a joint table has one: read the others without `label`."
        )


def choose_coordinator(name: str, holders: Sequence[str], parties: Sequence[str]) -> str:
    """The coordinator: ``name``, or else the only party that holds no table.

    Raises:
        ComponentError: it holds a table, is no party of the run, or cannot be told.
    """
    free = [party for party in parties if party not in holders]
    if not name and len(free) == 1:
        return free[0]
    if not name:
        raise ComponentError(
            f"name the coordinator: {_listed(free)} hold no table."
            if free
            else "the coordinator protocol needs a party without a table, and all parties hold one."
        )
    if name not in free:
        why = "holds a table: who joins the pseudonyms must not have IDs" if name in holders else "is no party"
        raise ComponentError(f"'{name}' cannot be the coordinator, it {why}; possible: {_listed(free) or 'none'}.")
    return name


def _listed(names: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(names)
