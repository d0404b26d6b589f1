"""What the egress check let pass: one row per step, route and kind of object; shapes are counted together."""

from dataclasses import dataclass

from veilflow.pipelines.ledger import Run
from veilflow.pipelines.report.words import listed, plural

_MAX_TYPES = 2


@dataclass(frozen=True)
class SentRow:
    """Objects of one kind that one party sent to others in one step."""

    step: str
    sender: str
    to: str
    what: str
    kind: str
    objects: int
    size: int


def sent_rows(run: Run) -> list[SentRow]:
    """Rows in run order, VeilFlow's own agreements between steps left out."""
    grouped: dict[tuple[str, str, str, str], dict[str, list]] = {}
    for node in run.nodes:
        for line in node.sent:
            if line.what != "runtime":
                to = grouped.setdefault((node.name, line.sender, line.what, line.kind), {})
                to.setdefault(line.to, []).append(line)
    return [
        SentRow(
            step,
            sender,
            listed(list(to)),
            what or "undeclared",
            _kind(kind, {line.type for lines in to.values() for line in lines}),
            sum(line.objects for lines in to.values() for line in lines),
            sum(line.bytes for lines in to.values() for line in lines),
        )
        for (step, sender, what, kind), to in grouped.items()
    ]


def _kind(kind: str, types: set[str]) -> str:
    named = sorted(each for each in types if each)
    if not named:
        return kind
    more = f" and {plural(len(named) - _MAX_TYPES, 'more shape')}" if len(named) > _MAX_TYPES else ""
    return f"{kind} {', '.join(named[:_MAX_TYPES])}{more}"
