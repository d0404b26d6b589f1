"""Claims of the `alignment` components: who ends up with whose rows, and who learns which people are common."""

from collections.abc import Sequence

from veilflow.components.alignment.anonymous_psi.claims import AnonymousPsiClaims
from veilflow.components.alignment.overlap.claims import OverlapClaims
from veilflow.components.alignment.spec import BOTH, parse_rules
from veilflow.components.claims import ALL, PUBLISHED, Artifact, Claims, Disclosure, NodeView, Protection, Send
from veilflow.components.errors import ComponentError


class PsiClaims(Claims):
    """Plain PSI: the receivers learn who is common."""

    def takes_part(self, node: NodeView) -> tuple[str, ...]:
        return _holders(node) or node.parties

    def outputs(self, node: NodeView) -> dict[str, Artifact]:
        receivers = _receivers(node)
        labels = [party for party in _label_parties(node) if party in receivers]
        table = Artifact("table", receivers, labels[0] if labels else None)
        return {"table": table, "report": Artifact("report")}

    def sends(self, node: NodeView) -> list[Send]:
        # to the other holder: a public key, and a digest of the common people in the agreed order
        holders = _holders(node)
        return [
            PUBLISHED,
            Send("sent", holders, holders, "bytes", max_bytes=64, times=1),
            Send("sent", holders, holders, "document", max_items=1, max_bytes=128, times=1),
        ]

    def discloses(self, node: NodeView) -> list[Disclosure]:
        holders, receivers = _holders(node), _receivers(node)
        found = [
            Disclosure(
                (party,),
                f"which of its own people {_other(party, holders)} has, too",
                (_other(party, holders),),
                "plain PSI; an anonymous alignment tells nobody",
                kind="membership",
            )
            for party in receivers
        ]
        counts = "row count, rows without an ID, duplicate rows, number of people"
        return [
            *found,
            Disclosure((ALL,), counts, holders, kind="row_count"),
            Disclosure(
                (ALL,),
                "how many people are common",
                holders,
                "repeated runs on changed tables tell who: each difference of two counts is about few people",
                kind="overlap_count",
            ),
            Disclosure((ALL,), "column names and types", receivers, kind="schema"),
        ]

    def protections(self, node: NodeView) -> list[Protection]:
        found = [Protection("key_decoy", _holders(node))]
        if len(_receivers(node)) == 2:
            found.append(Protection("alignment_verified", node.parties))
        return found

    def problems(self, node: NodeView) -> list[str]:
        checks = (_party_problems, _receiver_problems, _label_problems, _id_problems)
        return [problem for check in checks for problem in check(node)]


def _holders(node: NodeView) -> tuple[str, ...]:
    """The parties of both tables, in the order of the inputs, as far as they are known."""
    sides = (node.one("left"), node.one("right"))
    return tuple(dict.fromkeys(party for side in sides if side is not None for party in side.parties))


def _receivers(node: NodeView) -> tuple[str, ...]:
    receiver = str(node.params.get("receiver") or BOTH)
    return _holders(node) if receiver == BOTH else (receiver,)


def _other(party: str, holders: Sequence[str]) -> str:
    return next((other for other in holders if other != party), "the other party")


def _label_parties(node: NodeView) -> list[str]:
    sides = (node.one("left"), node.one("right"))
    return [side.label_party for side in sides if side is not None and side.label_party is not None]


def _party_problems(node: NodeView) -> list[str]:
    found = []
    for name in ("left", "right"):
        side = node.one(name)
        if side is not None and len(side.parties) > 1:
            found.append(
                f"{name} is a table of {', '.join(side.parties)}; alignment/psi takes one party's table on each side."
            )
    left, right = node.one("left"), node.one("right")
    if left is not None and right is not None and left.parties and left.parties == right.parties:
        found.append(f"left and right are both tables of {', '.join(left.parties)}; PSI needs two parties.")
    return found


def _receiver_problems(node: NodeView) -> list[str]:
    receiver, holders = str(node.params.get("receiver") or BOTH), _holders(node)
    if receiver == BOTH or len(holders) < 2 or receiver in holders:
        return []
    return [f"receiver '{receiver}' holds neither table; choose {BOTH}, {' or '.join(holders)}."]


def _label_problems(node: NodeView) -> list[str]:
    labels = list(dict.fromkeys(_label_parties(node)))
    if len(labels) < 2 or len(_receivers(node)) < 2:
        return []
    return [
        f"{' and '.join(labels)} both hold a label, and a joint table has one: read one of the tables without `label` "
        f"(and leave that column out)."
    ]


def _id_problems(node: NodeView) -> list[str]:
    chosen = {name: _strings(node.params.get(name)) for name in ("left_id", "right_id")}
    sizes = {name: len(names) for name, names in chosen.items() if names}
    if len(set(sizes.values())) > 1:
        return [f"left_id names {sizes['left_id']} column(s), right_id {sizes['right_id']}: they must be as many."]
    try:
        rules = parse_rules(_strings(node.params.get("normalise")))
        for size in sizes.values():
            rules.require_positions(size)
    except ComponentError as problem:
        return [str(problem)]
    return []


def _strings(value: object) -> list[str]:
    """A list parameter, also where it was given as one string."""
    if isinstance(value, str):
        return [value] if value else []
    return [str(item) for item in value] if isinstance(value, Sequence) else []


CLAIMS: dict[str, Claims] = {
    "alignment/psi": PsiClaims(),
    "alignment/anonymous_psi": AnonymousPsiClaims(),
    "alignment/overlap": OverlapClaims(),
}
