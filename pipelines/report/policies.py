"""The policies in force: what each decided, and what it objected to."""

from dataclasses import dataclass

from veilflow.pipelines.ledger import Objection, PolicyInForce, Run
from veilflow.pipelines.report.words import listed

VERDICTS = {"allowed": "allowed this run", "refused": "refused this run"}


@dataclass(frozen=True)
class Ruling:
    """One policy as a reader sees it."""

    policy: PolicyInForce
    verdict: str
    scope: str
    """Who is bound by it."""
    lines: list[tuple[Objection, str]]
    """What it objected to, with who would have learned it; that is empty for components and protections."""


def _agreed(run: Run) -> str:
    if run.status == "refused":
        return "agreed between the parties"
    return "agreed; the parties compared its hash before the first step"


def rulings(run: Run) -> list[Ruling]:
    """In the order in which they were given."""
    whose = f"own policy of {run.party or 'one party'}; the other parties are not told"
    return [
        Ruling(
            policy,
            VERDICTS[policy.verdict],
            whose if policy.private else _agreed(run),
            [(each, f"{listed(each.to)}, about {listed(each.about)}" if each.to else "") for each in policy.objections],
        )
        for policy in run.policies
    ]
