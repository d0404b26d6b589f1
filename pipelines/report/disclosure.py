"""Who learned what: the disclosure lines of all steps, turned round so that each party has its own list."""

from dataclasses import dataclass

from veilflow.pipelines.ledger import Learned, Node, Run
from veilflow.pipelines.report.words import listed

ALL = "*"


@dataclass(frozen=True)
class Line:
    """One row of a party's list."""

    step: str
    what: str
    about: str
    note: str
    state: str
    """Empty, or what the step's fate means for this line."""


_STATES = {"ran": "", "cached": "in an earlier run; this one reused the result", "failed": "perhaps: the step failed"}


def learned(run: Run) -> dict[str, list[Line]]:
    """Per party, in the order of steps, what it learned; steps that were not reached taught nobody anything."""
    found: dict[str, list[Line]] = {party: [] for party in run.parties}
    for node in run.nodes:
        for statement in node.discloses:
            if node.status == "skipped":
                continue
            for party in run.parties if ALL in statement.to else statement.to:
                if statement.about != [party]:  # about its own data alone a party learns nothing
                    found.setdefault(party, []).append(_line(node, statement, party, run.parties))
    return found


def not_reached(run: Run) -> int:
    """How many statements belong to steps that were not reached."""
    return sum(len(node.discloses) for node in run.nodes if node.status == "skipped")


def _line(node: Node, statement: Learned, party: str, parties: list[str]) -> Line:
    about = [each for each in (parties if ALL in statement.about else statement.about) if each != party]
    return Line(node.name, statement.what, listed(about) or "–", statement.note, _STATES[node.status])
