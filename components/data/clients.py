"""Steps with several clients' tables and a coordinator, as their claims see them. Light."""

from collections.abc import Sequence

from veilflow.components.claims import NodeView
from veilflow.components.errors import ComponentError
from veilflow.components.privacy.secagg.settings import SumSettings


def strings(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(str(item) for item in value) if isinstance(value, Sequence) else ()


def clients_of(node: NodeView) -> tuple[str, ...]:
    """Who brings a table, in the order of the tables."""
    return tuple(dict.fromkeys(party for table in node.inputs.get("tables", ()) for party in table.parties))


def coordinator_of(node: NodeView) -> str:
    """Who adds up; the first client where every party has a table and none is named."""
    named, clients = strings(node.params.get("coordinator")), clients_of(node)
    free = [party for party in node.parties if party not in clients]
    return (named or tuple(free) or clients or node.parties)[0]


def sum_settings(node: NodeView) -> SumSettings:
    """The secure sum of a step with a ``secure_sum`` structure."""
    given = node.params
    return SumSettings(
        str(given.get("secure_sum/backend", "masks")),
        str(given.get("secure_sum/keeper") or ""),
        int(given.get("secure_sum/key_bits", 3072)),
        int(given.get("secure_sum/minimum_clients", 2)),
        str(given.get("secure_sum/combine", "mean")),
    )


def sum_problems(node: NodeView) -> list[str]:
    """What is wrong with the clients, the coordinator and the secure sum."""
    clients = clients_of(node)
    if not clients:
        return []
    if len(clients) < 2:
        return [f"all of 'tables' lie at {clients[0]}; there is nothing to average over one client."]
    if set(node.parties) <= set(clients) and not strings(node.params.get("coordinator")):
        return ["every party has a table; name the one that adds up with 'coordinator'."]
    try:
        sum_settings(node).check(clients, coordinator_of(node))
    except ComponentError as problem:
        return [str(problem)]
    return []
