"""Claims of `alignment/overlap`: all learn a noised count, or one bit about it."""

from collections.abc import Sequence

from veilflow.components.alignment.anonymous.protocol_claims import compare_sends, ledger_line, ledger_sends, repeats
from veilflow.components.alignment.spec import parse_rules
from veilflow.components.claims import ALL, Artifact, Claims, Disclosure, NodeView, Protection, Send
from veilflow.components.errors import ComponentError


class OverlapClaims(Claims):
    """Nobody learns who is common, and how many are only with noise."""

    def takes_part(self, node: NodeView) -> tuple[str, ...]:
        return node.parties

    def outputs(self, node: NodeView) -> dict[str, Artifact]:
        return {"report": Artifact("report")}

    def discloses(self, node: NodeView) -> list[Disclosure]:
        holders, epsilon, least = _holders(node), node.params.get("epsilon"), int(node.params.get("at_least") or 0)
        what = f"whether at least {least} people are common" if least else "how many people are common"
        private = f"{epsilon}-differentially private for one person's presence; {repeats(node.params)}"
        return [
            Disclosure((ALL,), f"{what}, with noise", holders, private, "overlap_count", float(epsilon or 0)),
            Disclosure(
                (ALL,), "row count, rows without an ID, duplicate rows, number of people", holders, kind="row_count"
            ),
            ledger_line(holders),
        ]

    def sends(self, node: NodeView) -> list[Send]:
        holders = _holders(node) or (ALL,)
        noise = Send("masked_noise", holders, (ALL,), "array", "uint64", (1,), times=1)
        return [*compare_sends(holders, node.parties), *ledger_sends(holders), noise]

    def protections(self, node: NodeView) -> list[Protection]:
        holders = _holders(node)
        return [
            Protection("key_agreement", node.parties, {"curve": "X25519"}),
            Protection("run_ledger", holders),
            Protection("count_noise", holders, {"epsilon": node.params.get("epsilon"), "keyed": True}),
        ]

    def problems(self, node: NodeView) -> list[str]:
        found, holders = [], _holders(node)
        if len(holders) == 1:
            found.append(f"left and right are both tables of {holders[0]}; an overlap needs two parties.")
        if len(holders) == 2 and len(node.parties) < 3:
            found.append("alignment/overlap needs a third party without a table: the count is made among three.")
        try:
            parse_rules(_strings(node.params.get("normalise")))
        except ComponentError as problem:
            found.append(str(problem))
        return found


def _holders(node: NodeView) -> tuple[str, ...]:
    sides = (node.one("left"), node.one("right"))
    return tuple(dict.fromkeys(party for side in sides if side is not None for party in side.parties))


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value] if value else []
    return [str(item) for item in value] if isinstance(value, Sequence) else []
