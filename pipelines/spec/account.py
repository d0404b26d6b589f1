"""What all steps of a run together tell with noise: epsilons added up over the lines of the disclosure table.

Noise of one step is independent of that of another, so what they cost adds up (pure differential privacy). Lines belong
together where they are about the same parties' people.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from veilflow.components.claims import COUNT, Disclosure
from veilflow.components.vertical.secret.opening import MAX_HIDDEN_EPSILON
from veilflow.pipelines.spec.flow import Flow

COUNTED = {
    "overlap_count": "how many people are common",
    "metric": "one person more or less, twice that for another one",
}
"""Kinds of lines that carry an epsilon, and what of."""


@dataclass(frozen=True)
class Total:
    """One thing that several steps tell with noise."""

    about: tuple[str, ...]
    kind: str
    steps: tuple[tuple[str, float], ...]
    """(step, epsilon)"""

    @property
    def epsilon(self) -> float:
        return sum(each for _, each in self.steps)

    def __str__(self) -> str:
        each = " + ".join(f"{step} {epsilon:g}" for step, epsilon in self.steps)
        sums = f"{self.epsilon:g}" if len(self.steps) == 1 else f"{self.epsilon:g} = {each}"
        return f"{', '.join(self.about)}: {COUNTED[self.kind]}, with noise: epsilon {sums}"


def account(lines: Iterable[tuple[str, Sequence[Disclosure]]]) -> list[Total]:
    """Totals over (step, its lines), in the order in which they first appear."""
    found: dict[tuple[frozenset[str], str], list[tuple[tuple[str, ...], str, float]]] = {}
    for step, told in lines:
        for line in told:
            if line.epsilon and line.kind in COUNTED:
                found.setdefault((frozenset(line.about), line.kind), []).append((line.about, step, line.epsilon))
    return [
        Total(rows[0][0], kind, tuple((step, epsilon) for _, step, epsilon in rows))
        for (_, kind), rows in found.items()
    ]


def overdrawn(flows: Mapping[str, Flow]) -> list[tuple[str, str]]:
    """(step, message) where a count that an alignment hides would be all but told by all steps together."""
    hiding = {name for name, flow in flows.items() if _takes_hidden_count(flow)}
    found = []
    for total in account((name, flow.claims.discloses(flow.view)) for name, flow in flows.items()):
        names = [step for step, _ in total.steps]
        used = [name for name in names if name in hiding]
        if total.kind == "overlap_count" and total.epsilon > MAX_HIDDEN_EPSILON and len(names) > 1 and used:
            message = (
                f"{total}; that would all but tell the number that the alignment hides. Keep the sum at "
                f"{MAX_HIDDEN_EPSILON:g}: lower epsilon of these steps, or leave one out"
            )
            found.append((used[-1], message))
    return found


def _takes_hidden_count(flow: Flow) -> bool:
    return any(COUNT in artifact.hidden for wired in flow.view.inputs.values() for artifact in wired)
