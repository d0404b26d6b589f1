"""Plain PSI: the rows of the people that two parties have in common, side by side, at one or both of them.

Inputs    ``left``, ``right``: individual tables of two different parties.
Outputs   ``table``: vertical, both parties' rows of the same people in the same order; with one receiver an individual
          table there. ``report``: counts.
Public    column names and types, and the counts in the report, the number of common people among them.
Opens     to each receiver: which of its own people the other party has, too. Nothing else leaves a party; features
          stay where they are. Whoever must not know that needs an anonymous alignment instead.

The protocol runs on a link of the two parties alone; no SPU and no third party takes part.
"""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from secretflow.component.core import (
    Component,
    Context,
    DistDataType,
    Field,
    Input,
    Interval,
    Output,
    VTable,
    VTableField,
    VTableFieldKind,
    VTableParty,
    VTableSchema,
    register,
)
from secretflow.device import PYUObject

from veilflow.components.alignment.anonymous.people import People, find_people
from veilflow.components.alignment.match_share import hint
from veilflow.components.alignment.order import common_order, new_exchange, pseudonyms, session_key
from veilflow.components.alignment.spec import BOTH, DUPLICATES, PROTOCOLS, parse_rules
from veilflow.components.data.names import listed, require_columns
from veilflow.components.devices.events import progress, receipt
from veilflow.components.devices.link import PairRoute, pair_link, pair_route, require_free_port
from veilflow.components.devices.psi import intersect
from veilflow.components.devices.pyu import publish, run_on, send_to
from veilflow.components.devices.report import ReportBuilder
from veilflow.components.devices.schemas import names_of_kind
from veilflow.components.devices.tables import read_arrow, rows_of, write_table
from veilflow.components.errors import ComponentError


@register(domain="alignment", version="1.0.0", name="psi")
class Psi(Component):
    """
    Match the people of two parties by private set intersection and put their rows side by side. The receivers learn
    which of their own people the other party has, too; everybody learns how many they are.
    """

    protocol: str = Field.attr(
        desc="The protocol; all three are safe against honest-but-curious parties.",
        default="RR22",
        choices=list(PROTOCOLS),
    )
    receiver: str = Field.attr(
        desc="Who learns which people are common and gets their rows: both, or one party by name.", default=BOTH
    )
    normalise: list[str] = Field.attr(
        desc="How IDs are made comparable, for all ID columns, or for one by its position as in 2:phone. "
        "Of strip, spaces, width, case, number, date, phone, id_card.",
        default=["strip", "width"],
    )
    duplicates: str = Field.attr(
        desc="Rows that repeat a person: an error, or only the first or last kept.",
        default="error",
        choices=list(DUPLICATES),
    )
    allow_empty: bool = Field.attr(desc="Go on with an empty table where nobody is common.", default=False)
    left_id: list[str] = Field.table_column_attr(
        "left", desc="ID columns; left out, those of the table.", limit=Interval.closed(0, None)
    )
    right_id: list[str] = Field.table_column_attr(
        "right",
        desc="ID columns, in the order of the left ones; left out, those of the table.",
        limit=Interval.closed(0, None),
    )
    left: Input = Field.input(desc="One party's table.", types=[DistDataType.INDIVIDUAL_TABLE])
    right: Input = Field.input(desc="The other party's table.", types=[DistDataType.INDIVIDUAL_TABLE])
    table: Output = Field.output(
        desc="The common people's rows, at the receivers, in the same random order.",
        types=[DistDataType.VERTICAL_TABLE, DistDataType.INDIVIDUAL_TABLE],
    )
    report: Output = Field.output(desc="Counts per party, and of common people.", types=[DistDataType.REPORT])

    def evaluate(self, ctx: Context) -> None:
        parts = _two_parties(self.left, self.right)
        receivers = _receivers(self.receiver, list(parts))
        ids = _id_columns(parts, (self.left_id or [], self.right_id or []))
        schemas = _schemas(parts, ids, receivers)
        route = pair_route(ctx, *parts)
        tables = {party: read_arrow(ctx, part) for party, part in parts.items()}
        people, counts = self._people(tables, ids)
        sessions = _sessions(list(parts))
        marks = {party: run_on(party, _marks, people[party], sessions[party]) for party in parts}
        progress(ctx, 0.2, step="IDs normalised")
        rows = self._match(ctx, route, marks, counts, receivers)
        common = _require_equal_counts(publish({party: run_on(party, len, found) for party, found in rows.items()}))
        self._require_people(common, counts)
        progress(ctx, 0.7, step="people matched")
        if len(receivers) == 2:
            rows = _same_order(marks, sessions, rows, common)
            receipt(ctx, "alignment_verified", rows=common)
        taken = {party: run_on(party, _take, tables[party], people[party], found) for party, found in rows.items()}
        write_table(ctx, self.table, taken, schemas)
        _write_report(self.report, self.protocol, counts, receivers, common)
        progress(ctx, 1.0, step="done", rows=common)

    def _people(
        self, tables: dict[str, PYUObject], ids: dict[str, list[str]]
    ) -> tuple[dict[str, PYUObject], dict[str, dict[str, int]]]:
        """Who takes part, at each party, and the counts, which become public."""
        rules, duplicates = parse_rules(self.normalise), self.duplicates
        rules.require_positions(len(next(iter(ids.values()))))

        def find(table: pa.Table, columns: list[str], party: str) -> tuple[People, dict[str, int]]:
            people = find_people(table, columns, rules, duplicates, f"{party}'s table")
            return people, people.counts

        found = {party: run_on(party, find, table, ids[party], party, returns=2) for party, table in tables.items()}
        counts: dict[str, dict[str, int]] = publish({party: pair[1] for party, pair in found.items()})
        return {party: pair[0] for party, pair in found.items()}, counts

    def _match(
        self,
        ctx: Context,
        route: PairRoute,
        marks: dict[str, PYUObject],
        counts: dict[str, dict[str, int]],
        receivers: list[str],
    ) -> dict[str, PYUObject]:
        """Per receiver the positions of its people that the other has, too."""
        total = sum(found["people"] for found in counts.values())
        wait = min(3600, 120 + total // 10_000)  # seconds; the slowest protocol does 100 000 people per second
        publish([run_on(party, require_free_port, route, party) for party in marks])
        name: str = publish(run_on(receivers[0], secrets.token_hex, 8))
        base, protocol = Path(ctx.data_dir), self.protocol
        rank, broadcast = list(route.addresses).index(receivers[0]), len(receivers) == 2

        def hidden() -> None:
            receipt(ctx, "key_decoy")

        def match(mine: np.ndarray, party: str) -> tuple[np.ndarray | None, bool]:
            base.mkdir(parents=True, exist_ok=True)
            with pair_link(route, party, f"psi-{name}", wait) as link:
                return intersect(link, base, mine, protocol, rank, broadcast, hidden), True

        found = {party: run_on(party, match, mine, party, returns=2) for party, mine in marks.items()}
        publish({party: pair[1] for party, pair in found.items()})  # both have closed their links
        return {party: found[party][0] for party in receivers}

    def _require_people(self, common: int, counts: dict[str, dict[str, int]]) -> None:
        if common or self.allow_empty:
            return
        sizes = " and ".join(f"{party} {found['people']}" for party, found in counts.items())
        raise ComponentError(
            f"no common people among {sizes}. Compare how the ID columns are written at the two parties "
            f"(normalise), or set allow_empty to true."
        )


def _two_parties(left: Input, right: Input) -> dict[str, VTableParty]:
    parts = [VTable.from_distdata(side).get_party(0) for side in (left, right)]
    if parts[0].party == parts[1].party:
        raise ComponentError(f"left and right are both tables of {parts[0].party}; PSI needs two parties.")
    return {part.party: part for part in parts}


def _receivers(receiver: str, holders: list[str]) -> list[str]:
    if receiver == BOTH:
        return holders
    if receiver not in holders:
        raise ComponentError(f"receiver '{receiver}' holds neither table; choose {BOTH}, {' or '.join(holders)}.")
    return [receiver]


def _id_columns(parts: dict[str, VTableParty], chosen: Sequence[list[str]]) -> dict[str, list[str]]:
    """Per party the columns that tell people apart: those chosen, or else its table's IDs."""
    found = {}
    for (party, part), side, names in zip(parts.items(), ("left", "right"), chosen, strict=True):
        found[party] = list(names) or names_of_kind(part.schema, "id")
        if not found[party]:
            raise ComponentError(f"{party}'s table has no ID column: set {side}_id, or id where the table is read.")
        require_columns(found[party], part.columns, f"{party}'s table")
    (left, left_ids), (right, right_ids) = found.items()
    if len(left_ids) != len(right_ids):
        raise ComponentError(
            f"{left} tells people apart by {listed(left_ids)}, {right} by {listed(right_ids)}: "
            f"name the same number of columns, in the same order."
        )
    return found


def _schemas(
    parts: dict[str, VTableParty], ids: dict[str, list[str]], receivers: Sequence[str]
) -> dict[str, VTableSchema]:
    """The output's schemas: the receivers' own, with the columns that tell people apart as IDs."""
    found = {}
    for party in receivers:
        part = parts[party]
        fields = [VTableField(name, part.schema[name].type, VTableFieldKind.ID) for name in ids[party]]
        fields += [part.schema[name] for name in part.columns if name not in ids[party]]
        found[party] = VTableSchema(fields)
    repeated = set.intersection(*({n for n in s.names if n not in names_of_kind(s, "id")} for s in found.values()))
    if len(found) > 1 and repeated:
        raise ComponentError(
            f"both tables have column(s) {listed(sorted(repeated))}, and later steps could not tell them apart: "
            f"leave them out at one party, or rename them."
        )
    labelled = [party for party, schema in found.items() if names_of_kind(schema, "label")]
    if len(labelled) > 1:
        raise ComponentError(
            f"{' and '.join(labelled)} both hold a label, and a joint table has one: read one of them without it."
        )
    return found


def _require_equal_counts(counts: dict[str, int]) -> int:
    if len(set(counts.values())) != 1:
        seen = ", ".join(f"{party} {count}" for party, count in counts.items())
        raise ComponentError(f"the protocol gave the two parties different numbers of common people: {seen}.")
    return next(iter(counts.values()))


def _sessions(holders: Sequence[str]) -> dict[str, PYUObject]:
    """At each holder the key that the two have in common in this run, and nobody else."""
    one, other = holders
    keys = {party: run_on(party, new_exchange, returns=2) for party in holders}
    peers = {one: send_to(one, keys[other][1]), other: send_to(other, keys[one][1])}
    return {party: run_on(party, session_key, *keys[party], peers[party]) for party in holders}


def _marks(people: People, session: bytes) -> np.ndarray:
    return pseudonyms(people.ids, session)


def _same_order(
    marks: dict[str, PYUObject], sessions: dict[str, PYUObject], rows: dict[str, PYUObject], common: int
) -> dict[str, PYUObject]:
    """The matched positions in one order that both share, after both have shown to hold the same people."""
    one, other = rows

    def order(mine: np.ndarray, found: np.ndarray, session: bytes) -> tuple[np.ndarray, str]:
        places, whole = common_order(mine[found], session)
        return found[places], whole

    def require_same(own: str, peers: str) -> bool:
        if own != peers:
            raise ComponentError(
                f"the two parties' aligned rows differ: {common} at each, but not the same people. Nothing was stored."
            )
        return True

    ordered = {party: run_on(party, order, marks[party], rows[party], sessions[party], returns=2) for party in rows}
    publish(run_on(one, require_same, ordered[one][1], send_to(one, ordered[other][1])))
    return {party: pair[0] for party, pair in ordered.items()}


def _take(table: pa.Table, people: People, found: np.ndarray) -> pa.Table:
    return rows_of(table, people.rows_of(found))


def _write_report(
    output: Output, protocol: str, counts: dict[str, dict[str, int]], receivers: list[str], common: int
) -> None:
    report = ReportBuilder("psi", "Who takes part, and how many people are common.")
    summary: dict[str, Any] = {"common_people": common, "protocol": protocol, "receivers": ", ".join(receivers)}
    report.values("alignment", summary)
    report.hint(hint(common, [found["people"] for found in counts.values()]))
    names = ("rows", "missing", "duplicates", "people")
    columns: dict[str, list[Any]] = {"party": list(counts)}
    columns |= {name: [found[name] for found in counts.values()] for name in names}
    columns["common_share"] = [common / found["people"] if found["people"] else 0.0 for found in counts.values()]
    report.table("parties", columns, "missing: rows without a complete ID; duplicates: rows dropped.")
    report.write(output)
