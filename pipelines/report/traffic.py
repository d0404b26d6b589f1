"""Where the time went and what was sent: bars, and the numbers behind them."""

from dataclasses import dataclass

from veilflow.pipelines.ledger import Node, Run
from veilflow.pipelines.report.words import total_sent

MAX_SENDERS = 5
"""With more parties than fit beside each other, a step's row has the sum only."""


@dataclass(frozen=True)
class StepTime:
    """One step's row. ``share`` is that of the slowest step, for the bar; ``sent`` fits the table's senders."""

    node: Node
    share: float
    sent: list[int]


@dataclass(frozen=True)
class PartySent:
    """What one party sent; ``share`` is that of the one that sent most."""

    party: str
    sent: int
    share: float


@dataclass(frozen=True)
class Traffic:
    """Both tables."""

    senders: list[str]
    steps: list[StepTime]
    parties: list[PartySent]

    @property
    def any_sent(self) -> bool:
        return any(row.sent for row in self.parties)


def traffic(run: Run) -> Traffic:
    """Steps in run order, parties in the order of the pipeline file."""
    longest = max((node.seconds for node in run.nodes), default=0.0)
    sent = total_sent(run)
    most = max(sent.values(), default=0)
    together = len(run.parties) > MAX_SENDERS
    return Traffic(
        senders=["all parties"] if together else list(run.parties),
        steps=[StepTime(node, _share(node.seconds, longest), _sent(node, run, together)) for node in run.nodes],
        parties=[PartySent(party, amount, _share(amount, most)) for party, amount in sent.items()],
    )


def _sent(node: Node, run: Run, together: bool) -> list[int]:
    amounts = [node.bytes_sent.get(party, 0) for party in run.parties]
    return [sum(amounts)] if together else amounts


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
