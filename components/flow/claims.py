"""Claims of the `flow` components."""

from veilflow.components.claims import Artifact, Claims, NodeView, Send


class BarrierClaims(Claims):
    """Everybody takes part, nobody learns anything."""

    def takes_part(self, node: NodeView) -> tuple[str, ...]:
        return node.parties

    def outputs(self, node: NodeView) -> dict[str, Artifact]:
        return {"report": Artifact("report")}

    def sends(self, node: NodeView) -> list[Send]:
        return [Send("published", max_items=1, times=1)]

    def cacheable(self, node: NodeView) -> bool:
        return False


CLAIMS: dict[str, Claims] = {"flow/barrier": BarrierClaims()}
