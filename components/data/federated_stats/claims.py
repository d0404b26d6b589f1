"""Claims of data/federated_stats."""

from veilflow.components.claims import ALL, Artifact, Claims, Disclosure, NodeView, Protection, Send
from veilflow.components.data.clients import clients_of, coordinator_of, sum_problems
from veilflow.components.data.federated_stats.spec import FINE, StatsSpec
from veilflow.components.errors import ComponentError
from veilflow.components.privacy.secagg import declare
from veilflow.components.privacy.secagg.parameters import sum_settings


class FederatedStatsClaims(Claims):
    """Only totals over all clients are opened; rules follow from them and are everybody's."""

    def takes_part(self, node: NodeView) -> tuple[str, ...]:
        return node.parties  # each stores the rules

    def outputs(self, node: NodeView) -> dict[str, Artifact]:
        rule = Artifact("common rule", node.parties)
        return {"clean": rule, "scale": rule, "report": Artifact("report")}

    def sends(self, node: NodeView) -> list[Send]:
        clients = clients_of(node) or (ALL,)
        totals = Send("published", max_items=1 << 20, max_bytes=64 << 20)
        return [totals, *declare.sends(sum_settings(node.params), clients, coordinator_of(node))]

    def discloses(self, node: NodeView) -> list[Disclosure]:
        clients, levels = clients_of(node), len(_spec(node).levels)
        what = (
            f"counts, means, variances and {levels} quantiles per column over all clients' rows, each quantile to 1 in "
        )
        what += f"{1 / FINE:.0f} of their spread, and counts of rows up to the points of its search"
        note = (
            "exact sums, without noise and in no epsilon; with two clients each can subtract its own part, and sums of "
            "two runs between which one row came or went are that row"
        )
        power = "the power of two above each column's largest magnitude"
        return [
            *declare.discloses(sum_settings(node.params), clients, coordinator_of(node)),
            Disclosure((ALL,), what, clients, note, "statistics"),
            Disclosure((ALL,), power, clients, "per client", "statistics"),
        ]

    def protections(self, node: NodeView) -> list[Protection]:
        return declare.protections(sum_settings(node.params), clients_of(node), coordinator_of(node))

    def problems(self, node: NodeView) -> list[str]:
        found = sum_problems(node)
        try:
            _spec(node).check()
        except ComponentError as problem:
            found.append(str(problem))
        return found


def _spec(node: NodeView) -> StatsSpec:
    given = node.params
    return StatsSpec(
        str(given.get("method", "standard")),
        str(given.get("fill", "median")),
        float(given.get("clip", 0.0)),
        int(given.get("bins", 10)),
    )
