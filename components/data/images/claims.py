"""Claims of data/read_images."""

from veilflow.components.claims import ALL, PUBLISHED, Artifact, Claims, Disclosure, NodeView, Send
from veilflow.components.data.images.spec import ImageSpec
from veilflow.components.errors import ComponentError
from veilflow.datasets.addresses import parse_address
from veilflow.datasets.errors import SourceError


class ReadImagesClaims(Claims):
    """Reads at one party."""

    def takes_part(self, node: NodeView) -> tuple[str, ...]:
        return (_party(node),)

    def outputs(self, node: NodeView) -> dict[str, Artifact]:
        party = _party(node)
        return {"images": Artifact("table", (party,), party), "report": Artifact("report")}

    def sends(self, node: NodeView) -> list[Send]:
        return [PUBLISHED]

    def discloses(self, node: NodeView) -> list[Disclosure]:
        return [Disclosure((ALL,), "number, size and type of the images", (_party(node),), kind="row_count")]

    def problems(self, node: NodeView) -> list[str]:
        found = []
        try:
            path = parse_address(str(node.params.get("path", ""))).path
            if not path.lower().endswith(".npz"):
                found.append("read_images reads .npz files; use data/read_table for tables.")
        except SourceError as problem:
            found.append(str(problem))
        try:
            _ = ImageSpec(share=str(node.params.get("share", "1/1"))).fraction
        except ComponentError as problem:
            found.append(str(problem))
        return found

    def reads(self, node: NodeView) -> list[tuple[str, str]]:
        return [(_party(node), str(node.params.get("path", "")))]


def _party(node: NodeView) -> str:
    found = node.params.get("party")
    return str(found[0] if isinstance(found, (list, tuple)) and found else found or "")
