"""Steps with several clients' tables and a coordinator, as their claims see them. Light."""

from collections.abc import Sequence

from veilflow.components.claims import NodeView
from veilflow.components.errors import ComponentError
from veilflow.components.parameters import strings
from veilflow.components.privacy.secagg.parameters import sum_settings


def clients_of(node: NodeView) -> tuple[str, ...]:
    """Who brings a table, in the order of the tables."""
    return tuple(dict.fromkeys(party for table in node.inputs.get("tables", ()) for party in table.parties))


def choose_coordinator(named: object, clients: Sequence[str], parties: Sequence[str]) -> str:
    """Who adds up: the party that the parameter ``coordinator`` names, or the first one without a table.

    Raises:
        ComponentError: none is named, and every party has a table.
    """
    free = [party for party in parties if party not in clients]
    if not strings(named) and not free:
        raise ComponentError("every party has a table; name the one that adds up with 'coordinator'.")
    return (strings(named) or free)[0]


def coordinator_of(node: NodeView) -> str:
    """`choose_coordinator`; the first client where that is refused, for what must be told all the same."""
    clients = clients_of(node)
    try:
        return choose_coordinator(node.params.get("coordinator"), clients, node.parties)
    except ComponentError:
        return clients[0]


def sum_problems(node: NodeView) -> list[str]:
    """What is wrong with the clients, the coordinator and the secure sum."""
    clients = clients_of(node)
    if not clients:
        return []
    if len(clients) < 2:
        return [
            f"all of 'tables' lie at {clients[0]}; there is nothing to average over one client. Give one table of "
            "each client."
        ]
    try:
        coordinator = choose_coordinator(node.params.get("coordinator"), clients, node.parties)
        sum_settings(node.params).check(clients, coordinator)
    except ComponentError as problem:
        return [str(problem)]
    return []
