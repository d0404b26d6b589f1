"""Who feeds whom: references of `needs`, types on every edge, order and cycles."""

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from veilflow.pipelines.catalog import Definition, Input
from veilflow.pipelines.spec.document import Document
from veilflow.pipelines.spec.model import Node
from veilflow.pipelines.spec.problem import Path, did_you_mean, listed
from veilflow.pipelines.spec.values import counted

_MOST_HINTS = 50
"""After so many problems, unknown names are named without a guess at what was meant."""


@dataclass(frozen=True)
class Source:
    """An output of an earlier node."""

    node: str
    output: str

    def __str__(self) -> str:
        return f"{self.node}.{self.output}"


@dataclass(frozen=True)
class Wire:
    """One artifact that a step takes: the input, and where it comes from (None: an optional input left out)."""

    input: str
    source: Source | None


def sources_of(node: Node) -> list[Source]:
    """Every well-formed reference of a node, in file order."""
    found = []
    for value in node.needs.values():
        for text in (value,) if isinstance(value, str) else value:
            name, dot, output = text.partition(".")
            if dot:
                found.append(Source(name, output))
    return found


def wires_of(node: Node, definition: Definition) -> tuple[Wire, ...]:
    """The step's artifacts in the order in which SecretFlow expects them. For nodes that passed `check_needs`."""
    wires: list[Wire] = []
    for entry in definition.inputs:
        value = node.needs.get(entry.name, ())
        texts = (value,) if isinstance(value, str) else value
        if not texts and not entry.variable:
            wires.append(Wire(entry.name, None))
        wires.extend(Wire(entry.name, Source(*text.split(".", 1))) for text in texts)
    return tuple(wires)


def check_needs(
    document: Document,
    name: str,
    node: Node,
    definition: Definition,
    definitions: Mapping[str, Definition],
    names: Collection[str],
) -> None:
    """Report every wrong, missing or superfluous entry of ``needs``.

    Args:
        definitions: of the nodes whose component is known, by node name.
        names: of all nodes; whether one is among them is asked for every reference.
    """
    at: Path = ("nodes", name, "needs")
    # Looking for a close name costs as much as there are nodes: where very much is wrong, the first are enough.
    near = names if len(document.problems) < _MOST_HINTS else ()
    inputs = {entry.name: entry for entry in definition.inputs}
    for given, value in node.needs.items():
        if given not in inputs:
            hint = did_you_mean(given, inputs) or f"; {definition.key} takes {listed(list(inputs), 'no inputs')}"
            document.problem((*at, given), f"unknown input{hint}")
            continue
        entry = inputs[given]
        texts = (value,) if isinstance(value, str) else value
        if not isinstance(value, str) and not entry.variable:
            document.problem((*at, given), f"takes one 'node.output', got a list of {len(texts)}")
            continue
        for index, text in enumerate(texts):
            path = (*at, given) if isinstance(value, str) else (*at, given, index)
            if message := _reference_problem(text, entry, definition, definitions, names, near):
                document.problem(path, message)
    for entry in definition.inputs:
        _check_presence(document, at, entry, node)


def _check_presence(document: Document, at: Path, entry: Input, node: Node) -> None:
    value = node.needs.get(entry.name)
    if entry.variable:
        count = 0 if value is None else 1 if isinstance(value, str) else len(value)
        if count < entry.min_items or (entry.max_items is not None and count > entry.max_items):
            wanted = counted(entry.min_items, entry.max_items, "artifact")
            document.problem(at, f"input '{entry.name}' takes {wanted}, got {count}")
    elif value is None and not entry.optional:
        document.problem(at, f"input '{entry.name}' is missing: {' or '.join(_shown(entry.types))}")


def _reference_problem(
    text: str,
    entry: Input,
    definition: Definition,
    definitions: Mapping[str, Definition],
    names: Collection[str],
    near: Collection[str],
) -> str | None:
    node, dot, output = text.partition(".")
    if node not in names:
        return f"no node '{node}'{did_you_mean(node, near)}"
    source = definitions.get(node)
    if source is None:
        return None  # that node's component is unknown, and says so
    outputs = {out.name: out for out in source.outputs}
    if not outputs:
        return f"'{node}' has no outputs: {source.key} gives none"
    if not dot:
        return f"say which output of '{node}': {' or '.join(f'{node}.{out}' for out in outputs)}"
    if output not in outputs:
        hint = did_you_mean(output, outputs) or f"; {source.key} gives {listed(list(outputs))}"
        return f"'{node}' has no output '{output}'{hint}"
    if not set(outputs[output].types) & set(entry.types):
        gives, takes = " or ".join(_shown(outputs[output].types)), " or ".join(_shown(entry.types))
        return f"'{text}' is {gives}, but '{entry.name}' of {definition.key} takes {takes}"
    return None


def _shown(types: Iterable[str]) -> list[str]:
    return [kind for kind in types if kind != "sf.null"]


def ordered(nodes: Mapping[str, Node]) -> list[str]:
    """Node names so that every node comes after those it needs; ties in file order. Nodes on cycles are left out."""
    position = {name: index for index, name in enumerate(nodes)}
    waits = {name: {s.node for s in sources_of(node)} & position.keys() for name, node in nodes.items()}
    feeds: dict[str, list[str]] = {name: [] for name in nodes}
    for name, needed in waits.items():
        for source in needed:
            feeds[source].append(name)
    ready = [position[name] for name, needed in waits.items() if not needed]
    heapq.heapify(ready)
    by_position = list(nodes)
    done: list[str] = []
    while ready:
        name = by_position[heapq.heappop(ready)]
        done.append(name)
        for follower in feeds[name]:
            waits[follower].discard(name)
            if not waits[follower]:
                heapq.heappush(ready, position[follower])
    return done


def cycles(nodes: Mapping[str, Node]) -> list[list[str]]:
    """Cycles of ``nodes`` that share no node, each starting at its first node in file order: breaking them all leaves
    none that shares no node with them. At most `_MOST_CYCLES`, so that the cost stays linear in the number of nodes."""
    position = {name: index for index, name in enumerate(nodes)}
    feeders = {name: [s.node for s in sources_of(node) if s.node in position] for name, node in nodes.items()}
    done = set(ordered(nodes))
    left = {name: feeders[name] for name in nodes if name not in done}
    found: list[list[str]] = []
    while len(found) < _MOST_CYCLES and (left := _on_or_after_cycles(left)):
        start = min(_walk(left), key=position.__getitem__)
        cycle = _cycle_through(start, left)
        first = cycle.index(min(cycle, key=position.__getitem__))
        found.append(cycle[first:] + cycle[:first])
        left = {name: sources for name, sources in left.items() if name not in cycle}
    return sorted(found, key=lambda cycle: position[cycle[0]])


_MOST_CYCLES = 20
"""Reported at once; the next ones are when these are mended."""


def _on_or_after_cycles(feeders: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The nodes that can never start, each with those of its feeders that cannot either."""
    waits = {name: {source for source in sources if source in feeders} for name, sources in feeders.items()}
    feeds: dict[str, list[str]] = {name: [] for name in feeders}
    for name, needed in waits.items():
        for source in needed:
            feeds[source].append(name)
    ready = [name for name, needed in waits.items() if not needed]
    while ready:
        name = ready.pop()
        del waits[name]
        for follower in feeds[name]:
            waits[follower].discard(name)
            if not waits[follower]:
                ready.append(follower)
    return {name: [source for source in feeders[name] if source in needed] for name, needed in waits.items()}


def _walk(feeders: Mapping[str, Sequence[str]]) -> list[str]:
    """The nodes of some cycle: from any node to a feeder, to a feeder of that, until one comes again."""
    seen: dict[str, int] = {}
    name = next(iter(feeders))
    while name not in seen:
        seen[name] = len(seen)
        name = feeders[name][0]
    return [each for each, at in seen.items() if at >= seen[name]]


def _cycle_through(start: str, feeders: Mapping[str, Sequence[str]]) -> list[str]:
    """A shortest cycle through ``start``, which is on one, in the direction data flows, found breadth first."""
    previous: dict[str, str] = {}
    wave = [start]
    while wave:
        following = []
        for name in wave:
            for source in feeders[name]:
                if source == start:
                    return _path(name, start, previous)
                if source not in previous:
                    previous[source] = name
                    following.append(source)
        wave = following
    raise AssertionError(f"'{start}' is on no cycle")


def _path(first: str, start: str, previous: Mapping[str, str]) -> list[str]:
    # The search went from consumers to producers: `start` feeds `first`, and each feeds its `previous`.
    path, step = [start], first
    while step != start:
        path.append(step)
        step = previous[step]
    return path
