"""The run's steps as a drawing: boxes with their state, arrows along the data, a dot per party that takes part."""

from collections.abc import Sequence

from markupsafe import Markup

from veilflow.pipelines.ledger import Node, Run
from veilflow.pipelines.report.layers import Cell, Layout, layout
from veilflow.pipelines.report.svg import element, picture, text
from veilflow.pipelines.report.words import STEP_STATUS, component, listed

PARTY_COLOURS = 6
"""How many colours the style sheet has for parties; more parties share them."""
_BOX_HEIGHT = 46.0
_ALONG_GAP, _ACROSS_GAP = 30.0, 16.0
_WIDEST = 1320.0
"""A drawing from left to right that is wider would get illegible on a page; it is drawn downwards instead."""
_NAME_WIDTH, _KIND_WIDTH = 8.2, 6.6
"""Widths of a character at 13 px semibold and 11 px, in the widest of the usual system fonts."""
_LONGEST = 24
"""Characters; longer names are cut, the tables have them whole."""

Point = tuple[float, float]


def graph(run: Run) -> list[Markup]:
    """One drawing downwards for narrow pages and, if it is not too wide, one from left to right for wide ones."""
    if not run.nodes:
        return []
    edges = [(ref.split(".", 1)[0], node.name) for node in run.nodes for refs in node.needs.values() for ref in refs]
    plan = layout([node.name for node in run.nodes], edges)
    down = _Drawing(run, plan, downwards=True)
    across = _Drawing(run, plan, downwards=False)
    if across.width > _WIDEST:
        return [down.draw("")]
    return [across.draw("wide-only"), down.draw("narrow-only")]


def legend(run: Run) -> list[tuple[Markup, str]]:
    """The marks that occur in the drawing, each with its meaning."""
    present = {node.status for node in run.nodes}
    return [
        (
            element("g", {"class": f"box {status}"}, _mark(status, 7.0, 7.0)),
            meaning,
        )
        for status, meaning in STEP_STATUS.items()
        if status in present
    ]


class _Drawing:
    def __init__(self, run: Run, plan: Layout, downwards: bool) -> None:
        self._plan, self._downwards = plan, downwards
        self._nodes = {node.name: node for node in run.nodes}
        self._colours = {party: index % PARTY_COLOURS for index, party in enumerate(run.parties)}
        self._box = {node.name: _box_width(node) for node in run.nodes}
        widest = max(self._box.values())
        self._slot = (widest if downwards else _BOX_HEIGHT) + _ACROSS_GAP
        self._extent = [_BOX_HEIGHT] * len(plan.layers) if downwards else self._aligned(plan)
        self._begin = [1 + sum(self._extent[:index]) + _ALONG_GAP * index for index in range(len(self._extent))]
        along = self._begin[-1] + self._extent[-1] + 1
        across = max(plan.position.values()) * self._slot + (widest if downwards else _BOX_HEIGHT) + 2
        self.width, self.height = (across, along) if downwards else (along, across)

    def _aligned(self, plan: Layout) -> list[float]:
        """From left to right all boxes of a layer get the width of the widest, so that their edges align."""
        widths = []
        for layer in plan.layers:
            names = [node for node, bend, _ in layer if not bend]
            widths.append(max((self._box[name] for name in names), default=0.0))
            self._box.update(dict.fromkeys(names, widths[-1]))
        return widths

    def draw(self, css: str) -> Markup:
        arrows = [self._arrow(route) for route in self._plan.routes.values()]
        boxes = [self._draw_box(cell) for layer in self._plan.layers for cell in layer if not cell[1]]
        return picture(self.width, self.height, self._description(), [*arrows, *boxes], f"graph {css}".strip())

    def _description(self) -> str:
        parts = []
        for node in self._nodes.values():
            sources = dict.fromkeys(ref.split(".", 1)[0] for refs in node.needs.values() for ref in refs)
            after = f" after {listed(list(sources))}" if sources else ""
            parts.append(f"{node.name}{after} ({STEP_STATUS[node.status]})")
        return "Steps and the data between them: " + "; ".join(parts) + "."

    def _centre(self, cell: Cell) -> float:
        half = (max(self._box.values()) if self._downwards else _BOX_HEIGHT) / 2
        return 1 + self._plan.position[cell] * self._slot + half

    def _corner(self, cell: Cell) -> Point:
        node, layer = cell[0], cell[2]
        if self._downwards:
            return self._centre(cell) - self._box[node] / 2, self._begin[layer]
        return self._begin[layer], self._centre(cell) - _BOX_HEIGHT / 2

    def _draw_box(self, cell: Cell) -> Markup:
        node = self._nodes[cell[0]]
        x, y = self._corner(cell)
        width = self._box[node.name]
        dots = [
            element("circle", {"cx": x + width - 12 - 11 * index, "cy": y + 32, "r": 3.5, "class": f"party-{colour}"})
            for index, colour in enumerate(sorted((self._colours.get(p, 0) for p in node.takes_part), reverse=True))
        ]
        return element(
            "g",
            {"class": f"box {node.status}"},
            element("rect", {"x": x, "y": y, "width": width, "height": _BOX_HEIGHT, "rx": 4}),
            element("path", {"d": f"M{x + 4:.1f} {y + 8:.1f}v{_BOX_HEIGHT - 16:.1f}", "class": "state"}),
            text(x + 13, y + 20, _short(node.name), "name"),
            text(x + 13, y + 36, _kind(node), "kind"),
            _mark(node.status, x + width - 13, y + 15),
            *dots,
        )

    def _arrow(self, route: Sequence[Cell]) -> Markup:
        """A curve that leaves and enters boxes straight and keeps straight inside the layers it only passes."""
        points: list[Point] = []
        for index, cell in enumerate(route):
            start, centre = self._begin[cell[2]], self._centre(cell)
            end = start + self._extent[cell[2]]
            points += [(start, centre)] if index else []
            points += [(end, centre)] if index < len(route) - 1 else []
        (along, across), *rest = points
        path = [f"M{self._xy(along, across)}"]
        for number, (to_along, to_across) in enumerate(rest):
            if number % 2:
                path.append(f"L{self._xy(to_along, to_across)}")
            else:
                middle = (along + to_along) / 2
                path.append(
                    f"C{self._xy(middle, across)} {self._xy(middle, to_across)} {self._xy(to_along, to_across)}"
                )
            along, across = to_along, to_across
        tip = f"M{self._xy(along - 6, across - 3.5)}L{self._xy(along, across)}L{self._xy(along - 6, across + 3.5)}"
        return element("path", {"class": "arrow", "d": "".join(path) + tip})

    def _xy(self, along: float, across: float) -> str:
        x, y = (across, along) if self._downwards else (along, across)
        return f"{x:.1f} {y:.1f}"


def _kind(node: Node) -> str:
    return _short(component(node.component).rsplit("/", 1)[-1])


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _box_width(node: Node) -> float:
    name = 13 + len(_short(node.name)) * _NAME_WIDTH + 26
    kind = 13 + len(_kind(node)) * _KIND_WIDTH + 14 + 11 * len(node.takes_part)
    return max(84.0, name, kind)


def _mark(status: str, x: float, y: float) -> Markup:
    """Tick, loop, cross or dash: the state without its colour."""
    shapes = {
        "ran": f"M{x - 4:.1f} {y:.1f}l3 3.5l5 -7",
        "cached": f"M{x + 3:.1f} {y - 3:.1f}a4.2 4.2 0 1 0 1 3M{x + 3.6:.1f} {y - 6:.1f}v3.4h-3.4",
        "failed": f"M{x - 3.5:.1f} {y - 3.5:.1f}l7 7m0 -7l-7 7",
        "skipped": f"M{x - 4:.1f} {y:.1f}h8",
    }
    return element("path", {"class": "mark", "d": shapes[status]})
