"""``--set node.param=value``: change parameters of a file without editing it."""

from collections.abc import Sequence
from typing import Any

from veilflow.pipelines.spec.document import Document, parse_value
from veilflow.pipelines.spec.problem import Path, Problem, did_you_mean

_FORM = "write --set node.parameter=value, with node.a/b=value for a nested parameter"


def apply(document: Document, overrides: Sequence[str]) -> None:
    """Write ``overrides`` into the document, later ones over earlier ones; problems go to the document."""
    for option in overrides:
        target, equals, text = option.partition("=")
        node, dot, path = target.strip().partition(".")
        if not (equals and dot and node and path):
            document.problems.append(Problem(f"not understood; {_FORM}", option=option))
            continue
        try:
            value = parse_value(text)
        except ValueError as error:
            document.problems.append(Problem(str(error), option=option))
            continue
        _write(document, option, node, path.split("/" if "/" in path else "."), value)


def _write(document: Document, option: str, node: str, steps: list[str], value: Any) -> None:
    nodes = document.data.get("nodes") if isinstance(document.data, dict) else None
    if not isinstance(nodes, dict):
        return  # the file itself is wrong, and says so
    if node not in nodes:
        document.problems.append(Problem(f"no node '{node}'{did_you_mean(node, nodes)}", option=option))
        return
    place = nodes[node]
    if not isinstance(place, dict):
        return
    path: Path = ("nodes", node)
    for step in ("with", *steps[:-1]):
        path = (*path, step)
        inner = place.get(step)
        if not isinstance(inner, dict):
            if step in place:  # `protocol: RR22` gives way to `protocol: {ECDH: ...}`
                document.options[path] = option
            inner = place[step] = {}
        place = inner
    place[steps[-1]] = value
    path = (*path, steps[-1])
    document.options[path] = option
