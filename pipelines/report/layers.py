"""Layered layout of a directed acyclic graph (Sugiyama, Tagawa, Toda 1981), for graphs of a few dozen nodes.

Longest-path layers, a bend point in every layer an edge passes, order by the mean of neighbours, and positions by
isotonic regression: least squares to the mean of neighbours, under the order and minimum gaps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Cell = tuple[str, str, int]
"""``(node, "", layer)``, or ``(source, target, layer)`` for the bend point of an edge."""
Edge = tuple[str, str]

_SWEEPS = 12
_BEND_GAP = 0.6
"""Slots between a bend point and its neighbours; two nodes are one slot apart."""


@dataclass(frozen=True)
class Layout:
    """Layers in order, positions across them in slots (0 and up), and per edge the cells it passes."""

    layers: list[list[Cell]]
    position: dict[Cell, float]
    routes: dict[Edge, list[Cell]]


def layout(nodes: Sequence[str], edges: Sequence[Edge]) -> Layout:
    """Place ``nodes``; ``edges`` must go forward in the order of ``nodes``, others are left out."""
    rank = {node: index for index, node in enumerate(nodes)}
    forward = [edge for edge in dict.fromkeys(edges) if rank.get(edge[0], -1) < rank.get(edge[1], -1)]
    forward = [edge for edge in forward if edge[0] in rank]
    depth = _depths(nodes, forward)
    routes = {edge: _route(edge, depth) for edge in forward}
    layers: list[list[Cell]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in nodes:
        layers[depth[node]].append((node, "", depth[node]))
    for route in routes.values():
        for cell in route[1:-1]:
            layers[cell[2]].append(cell)
    before, after = _neighbours(routes)
    layers = _ordered(layers, before, after)
    return Layout(layers, _positions(layers, before, after), routes)


def _depths(nodes: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    depth = dict.fromkeys(nodes, 0)
    for node in nodes:  # edges go forward, so all sources of a node are final when it is reached
        depth[node] = max((depth[source] + 1 for source, target in edges if target == node), default=0)
    fed = {target for _, target in edges}
    for node in nodes:  # a source stands next to its first user, not at the far end
        users = [depth[target] for source, target in edges if source == node]
        if node not in fed and users:
            depth[node] = min(users) - 1
    return depth


def _route(edge: Edge, depth: Mapping[str, int]) -> list[Cell]:
    source, target = edge
    bends: list[Cell] = [(source, target, layer) for layer in range(depth[source] + 1, depth[target])]
    return [(source, "", depth[source]), *bends, (target, "", depth[target])]


def _neighbours(routes: Mapping[Edge, list[Cell]]) -> tuple[dict[Cell, list[Cell]], dict[Cell, list[Cell]]]:
    before: dict[Cell, list[Cell]] = {}
    after: dict[Cell, list[Cell]] = {}
    for route in routes.values():
        for one, other in pairwise(route):
            after.setdefault(one, []).append(other)
            before.setdefault(other, []).append(one)
    return before, after


def _ordered(
    layers: list[list[Cell]], before: Mapping[Cell, list[Cell]], after: Mapping[Cell, list[Cell]]
) -> list[list[Cell]]:
    best, fewest = layers, _crossings(layers, after)
    current = [list(layer) for layer in layers]
    for sweep in range(_SWEEPS):
        downward = sweep % 2 == 0
        near = before if downward else after
        for layer in current if downward else reversed(current):
            place = {cell: index for line in current for index, cell in enumerate(line)}
            means = {
                cell: sum(place[each] for each in near[cell]) / len(near[cell]) if cell in near else place[cell]
                for cell in layer
            }
            layer.sort(key=means.__getitem__)
        crossings = _crossings(current, after)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in current], crossings
    return best


def _crossings(layers: Sequence[Sequence[Cell]], after: Mapping[Cell, list[Cell]]) -> int:
    place = {cell: index for layer in layers for index, cell in enumerate(layer)}
    total = 0
    for layer in layers:
        lines = [(place[cell], place[other]) for cell in layer for other in after.get(cell, ())]
        total += sum((a - c) * (b - d) < 0 for i, (a, b) in enumerate(lines) for c, d in lines[:i])
    return total


def _positions(
    layers: Sequence[Sequence[Cell]], before: Mapping[Cell, list[Cell]], after: Mapping[Cell, list[Cell]]
) -> dict[Cell, float]:
    position = {cell: float(index) for layer in layers for index, cell in enumerate(layer)}
    for sweep in range(2 * _SWEEPS):
        near = before if sweep % 2 == 0 else after
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted = [_mean([position[each] for each in near.get(cell, ())], position[cell]) for cell in layer]
            gaps = [1.0 if not one[1] and not other[1] else _BEND_GAP for one, other in pairwise(layer)]
            position.update(zip(layer, spread(wanted, gaps), strict=True))
    least = min(position.values(), default=0.0)
    return {cell: value - least for cell, value in position.items()}


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def spread(wanted: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """Positions nearest to ``wanted`` in least squares, with at least ``gaps[i]`` between entries ``i`` and ``i + 1``.

    Pool adjacent violators, after the gaps are taken out.
    """
    offsets = [sum(gaps[:index]) for index in range(len(wanted))]
    blocks: list[tuple[float, int]] = []
    for value, offset in zip(wanted, offsets, strict=True):
        mean, size = value - offset, 1
        while blocks and blocks[-1][0] > mean:
            other, count = blocks.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        blocks.append((mean, size))
    levels = [mean for mean, size in blocks for _ in range(size)]
    return [level + offset for level, offset in zip(levels, offsets, strict=True)]
