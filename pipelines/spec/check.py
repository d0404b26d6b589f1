"""The checks that need component definitions: parameters, edges, parties, devices, and the components' own claims."""

from collections.abc import Mapping
from typing import Any

from veilflow.pipelines.catalog import Catalog, Definition, UnknownVersion
from veilflow.pipelines.spec.account import overdrawn
from veilflow.pipelines.spec.document import Document
from veilflow.pipelines.spec.edges import check_needs, cycles, ordered, sources_of, wires_of
from veilflow.pipelines.spec.flow import Flow, follow
from veilflow.pipelines.spec.model import Device, Node, default_protocol
from veilflow.pipelines.spec.params import active, read_params, with_defaults
from veilflow.pipelines.spec.problem import Path, closest, did_you_mean, listed
from veilflow.pipelines.spec.structure import Draft


def check(document: Document, draft: Draft, catalog: Catalog) -> None:
    """Report everything that is wrong with the nodes of ``draft``."""
    definitions = {
        name: found for name, node in draft.nodes.items() if (found := _definition(document, name, node, catalog))
    }
    flats: dict[str, dict[str, Any]] = {}
    names = dict.fromkeys(draft.names)
    for name, definition in definitions.items():
        node = draft.nodes[name]
        flats[name], wrong = read_params(definition, node.params)
        for inside, message in wrong:
            document.problem(("nodes", name, "with", *inside), message)
        _check_parties(document, name, definition, flats[name], draft)
        check_needs(document, name, node, definition, definitions, names)
    if draft.devices is not None:
        _check_devices(document, draft, draft.devices, definitions)
    for cycle in cycles(draft.nodes):
        path = " -> ".join([*cycle, cycle[0]])
        document.problem(("nodes", cycle[0], "needs"), f"a cycle: {path}; remove one of these edges")
    _ask_claims(document, draft, definitions, flats)


def _definition(document: Document, name: str, node: Node, catalog: Catalog) -> Definition | None:
    try:
        found = catalog.find(node.uses)
    except UnknownVersion as error:
        document.problem(("nodes", name, "uses"), str(error))
        return None
    if found is None:
        document.problem(("nodes", name, "uses"), unknown_component(node.uses, catalog))
    return found


def unknown_component(uses: str, catalog: Catalog) -> str:
    """The message for a component that is not installed, with those that may be meant."""
    key, names = uses.split(":", 1)[0], catalog.names()
    meant = [near] if "/" in key and (near := closest(key, names)) else []
    if not meant:
        short = closest(key.rsplit("/", 1)[-1], {name.split("/", 1)[1] for name in names})
        meant = [name for name in names if name.split("/", 1)[1] == short]
    hint = f"did you mean {' or '.join(map(repr, meant))}?" if meant else "`veilflow components` lists those installed"
    return f"no component '{uses}'; {hint}"


def _check_parties(
    document: Document, name: str, definition: Definition, flat: Mapping[str, Any], draft: Draft
) -> None:
    if not draft.parties:
        return
    for attribute in active(definition, flat):
        if attribute.type != "party" or attribute.path not in flat:
            continue
        value = flat[attribute.path]
        at: Path = ("nodes", name, "with", *attribute.path.split("/"))
        for index, party in enumerate(value if attribute.many else [value]):
            path = (*at, index) if attribute.many else at
            if party not in draft.parties:
                document.problem(path, unknown_party(party, draft.parties))
            elif attribute.many and party in value[:index]:
                document.problem(path, f"party '{party}' is listed twice")


def unknown_party(party: str, parties: tuple[str, ...]) -> str:
    """The message for a party that the pipeline does not have."""
    return f"no party '{party}'{did_you_mean(party, parties) or f'; there are {listed(parties)}'}"


def _check_devices(
    document: Document, draft: Draft, devices: Mapping[str, Device], definitions: Mapping[str, Definition]
) -> None:
    for name, device in devices.items():
        for index, party in enumerate(device.parties):
            if party not in draft.parties:
                document.problem(("devices", name, "parties", index), unknown_party(party, draft.parties))
    for name, node in draft.nodes.items():
        wanted = definitions[name].devices if name in definitions else ()
        if node.device is not None:
            _check_choice(document, name, node.device, devices)
        if missing := [kind for kind in wanted if all(device.kind != kind for device in devices.values())]:
            document.problem(("nodes", name), _no_device(node.uses, missing[0], draft.parties))


def _check_choice(document: Document, name: str, device: str, devices: Mapping[str, Device]) -> None:
    path = ("nodes", name, "device")
    if device not in devices:
        hint = did_you_mean(device, devices) or f"; there are {listed(list(devices), 'none: add devices:')}"
        document.problem(path, f"no device '{device}'{hint}")
    elif devices[device].kind != "spu":
        document.problem(path, f"'{device}' is of kind {devices[device].kind}, but `device` chooses an SPU")


def _no_device(uses: str, kind: str, parties: tuple[str, ...]) -> str:
    members = f"[{', '.join(parties)}]"
    protocol = f", protocol: {default_protocol(len(parties))}" if kind == "spu" else ""
    line = f"{kind}: {{kind: {kind}, parties: {members}{protocol}}}"
    return f"{uses} needs a device of kind {kind}, but there is none; add to `devices:` the line `{line}`"


def _ask_claims(
    document: Document, draft: Draft, definitions: Mapping[str, Definition], flats: Mapping[str, dict[str, Any]]
) -> None:
    """Claims are asked only about steps that are right themselves and fed by steps that are."""
    wrong = {p.path[1] for p in document.problems if len(p.path) > 1 and p.path[0] == "nodes"}
    if not draft.parties or any(p.path[:1] == ("parties",) for p in document.problems):
        return
    flows: dict[str, Flow] = {}
    for name in ordered(draft.nodes):
        node = draft.nodes[name]
        if name in wrong or name not in flats or any(s.node not in flows for s in sources_of(node)):
            continue
        definition = definitions[name]
        params = with_defaults(definition, flats[name])
        flow = follow(name, definition, params, wires_of(node, definition), draft.parties, flows)
        for message in flow.claims.problems(flow.view):
            document.problem(("nodes", name), message.rstrip("."))
        flows[name] = flow
    for name, message in overdrawn(flows):
        document.problem(("nodes", name), message)
