"""Claims of `alignment/anonymous_psi`: who is told how much, and what may leave whom."""

from collections.abc import Sequence

from veilflow.components.alignment.anonymous.interface import FULL, NOT_HIDDEN, ROUNDED
from veilflow.components.alignment.anonymous.protocol_claims import (
    compare_sends,
    ledger_line,
    ledger_sends,
    protections,
    repeats,
    two_party_sends,
)
from veilflow.components.alignment.anonymous_psi.roster import choose_coordinator
from veilflow.components.alignment.ledger.rules import LedgerRules
from veilflow.components.alignment.spec import parse_rules
from veilflow.components.claims import (
    ALL,
    COUNT,
    PADDING,
    PEOPLE,
    PUBLISHED,
    Artifact,
    Claims,
    Disclosure,
    NodeView,
    Protection,
    Send,
)
from veilflow.components.errors import ComponentError

_COORDINATOR, _COMPARE, _TWO_PARTY = "coordinator", "spu_compare", "two_party"
_ANY_SIZE = 1 << 36
"""Bytes of one message whose rows are as many as a table's."""
_BLOCK = 1 << 22
"""Bytes of one block (`coordinator.protocol.BLOCK_WORDS`)."""


class AnonymousPsiClaims(Claims):
    """Nobody learns who is common; how many, the coordinator and, by choice, the holders."""

    def takes_part(self, node: NodeView) -> tuple[str, ...]:
        # The SPU's parties are known at run time, so all are named.
        return node.parties

    def outputs(self, node: NodeView) -> dict[str, Artifact]:
        labels = [artifact.label_party for artifact in node.inputs.get("tables", ()) if artifact.label_party]
        label, bounded = labels[0] if labels else None, float(node.params.get("bound") or 0) > 0
        hidden = _what_is_hidden(node)
        return {
            "table": Artifact("secret_table", node.parties, label, _holders(node), hidden, bounded),
            "report": Artifact("report"),
        }

    def discloses(self, node: NodeView) -> list[Disclosure]:
        holders = _holders(node)
        lines = [
            Disclosure((ALL,), "column names", holders, kind="schema"),
            Disclosure(
                (ALL,), "row count, rows without an ID, duplicate rows, number of people", holders, kind="row_count"
            ),
            Disclosure(
                (ALL,),
                f"that at least {node.params.get('minimum', 0)} people are common, or that they are fewer",
                holders,
                _fewer(node),
                "overlap_count",
            ),
            *_count(node, holders),
        ]
        if _protocol(node) == _COORDINATOR:
            lines.append(_coordinator_line(node, holders))
        return [*lines, ledger_line(holders)]

    def sends(self, node: NodeView) -> list[Send]:
        holders, coordinator = _holders(node) or (ALL,), _coordinator(node) or (ALL,)
        if _protocol(node) == _COMPARE:
            return [*compare_sends(holders, node.parties), *ledger_sends(holders)]
        if _protocol(node) == _TWO_PARTY:
            return [*two_party_sends(holders), *ledger_sends(holders)]
        return [
            *ledger_sends(holders),
            PUBLISHED,
            Send("group_key", holders, holders, "bytes", max_bytes=64, times=1),
            Send("pseudonyms", holders, coordinator, "array", "uint64", (None, 2), max_bytes=_ANY_SIZE, times=1),
            Send("masked_rows", holders, (ALL,), "array", "uint64", (None, None), max_bytes=_BLOCK),
            Send("positions", coordinator, (ALL,), "array", "uint32", (None,), max_bytes=_ANY_SIZE, times=len(holders)),
            Send("masked_half", (ALL,), (ALL,), "array", "uint64", (None, None), max_bytes=_BLOCK),
        ]

    def protections(self, node: NodeView) -> list[Protection]:
        holders, coordinator = _holders(node), _coordinator(node)
        bound = float(node.params.get("bound") or 0)
        cut = [Protection("value_bound", holders, {"bound": bound})] if bound else []
        if _protocol(node) != _COORDINATOR:
            return [*protections(_protocol(node), holders, _hidden(node) != NOT_HIDDEN), *cut]
        found = [
            *cut,
            Protection("run_ledger", holders),
            Protection("key_agreement", holders + coordinator, {"curve": "X25519"}),
            Protection("shuffle", holders + coordinator),
            Protection("re_mask", coordinator),
            Protection("minimum_overlap", coordinator, {"minimum": node.params.get("minimum", 0)}),
        ]
        if _hidden(node) != NOT_HIDDEN:
            found.append(Protection("count_padding", coordinator, {"hide_count": _hidden(node)}))
        return found

    def problems(self, node: NodeView) -> list[str]:
        found = []
        holders = _holders(node)
        wired = [party for artifact in node.inputs.get("tables", ()) for party in artifact.parties]
        if twice := sorted({party for party in wired if wired.count(party) > 1}):
            found.append(f"two of the tables are {', '.join(twice)}'s; an alignment takes one of each party.")
        labels = [artifact.label_party for artifact in node.inputs.get("tables", ()) if artifact.label_party]
        if len(labels) > 1:
            found.append(f"{' and '.join(labels)} both hold a label, and a joint table has one: read one without it.")
        try:
            parse_rules(_strings(node.params.get("normalise")))
            if len(holders) > 2 and _protocol(node) != _COORDINATOR:
                found.append(f"{_protocol(node)} aligns two holders, not {len(holders)}; use protocol coordinator.")
            if holders and _protocol(node) == _COORDINATOR:
                choose_coordinator(str(node.params.get("coordinator") or ""), holders, node.parties)
        except ComponentError as problem:
            found.append(str(problem))
        return found


def _count(node: NodeView, holders: tuple[str, ...]) -> list[Disclosure]:
    repeated = "repeated runs on changed tables tell who: each difference of two counts is about few people"
    if _protocol(node) == _COMPARE:
        return []
    if _hidden(node) != NOT_HIDDEN and _protocol(node) == _TWO_PARTY:
        private = (
            f"{node.params.get('epsilon')}-differentially private for one person's presence; {repeats(node.params)}"
        )
        noised = "how many people are common, with noise"
        return [Disclosure((ALL,), noised, holders, private, "overlap_count", float(node.params.get("epsilon") or 0))]
    if _hidden(node) == NOT_HIDDEN:
        return [Disclosure((ALL,), "how many people are common", holders, repeated, "overlap_count")]
    if _hidden(node) == ROUNDED:
        what = "how many people are common, rounded up to three binary digits"
        return [Disclosure((ALL,), what, holders, "at most a quarter too many", "overlap_count")]
    return []


def _fewer(node: NodeView) -> str:
    limit = int(node.params.get("ledger_inputs", LedgerRules.inputs))
    days = node.params.get("ledger_days", LedgerRules.days)
    often = f"{limit} of them in {days} days (ledger_inputs)" if limit else "any number of them (ledger_inputs: 0)"
    return f"fewer end the run; runs with other minima each halve where the number may be: {often} can be asked for"


def _coordinator_line(node: NodeView, holders: tuple[str, ...]) -> Disclosure:
    what = "how many people are common to all holders"
    if len(holders) > 2:
        what += ", and to every choice of some of them"
    return Disclosure(
        _coordinator(node) or ("the coordinator",),
        what,
        holders,
        "from keyed pseudonyms in private orders, with a hidden count the same ones whenever the same people are "
        "aligned; together with a holder it would learn who",
        "overlap_count",
    )


def _protocol(node: NodeView) -> str:
    return str(node.params.get("protocol") or _COORDINATOR)


def _what_is_hidden(node: NodeView) -> tuple[str, ...]:
    """Of the table: where the coordinator pads, the rows that are people for certain stand first (see there)."""
    if _protocol(node) == _COMPARE:
        return (PEOPLE, COUNT, PADDING)
    if _hidden(node) == NOT_HIDDEN:
        return (PEOPLE,)
    if _protocol(node) == _COORDINATOR and _hidden(node) == ROUNDED:
        return (PEOPLE, COUNT)
    return (PEOPLE, COUNT, PADDING)


def _hidden(node: NodeView) -> str:
    chosen = str(node.params.get("hide_count") or ROUNDED)
    assert chosen in (NOT_HIDDEN, ROUNDED, FULL), chosen
    return chosen


def _holders(node: NodeView) -> tuple[str, ...]:
    return tuple(dict.fromkeys(party for artifact in node.inputs.get("tables", ()) for party in artifact.parties))


def _coordinator(node: NodeView) -> tuple[str, ...]:
    """The coordinator, or nothing where it cannot be told (`problems` says so)."""
    try:
        return (choose_coordinator(str(node.params.get("coordinator") or ""), _holders(node), node.parties),)
    except ComponentError:
        return ()


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value] if value else []
    return [str(item) for item in value] if isinstance(value, Sequence) else []
