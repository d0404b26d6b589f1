"""Who trains with whom, and what is public of a training besides its figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from veilflow.components.horizontal.fedavg import weights
from veilflow.components.horizontal.fedavg.bounds import Bounds
from veilflow.components.horizontal.fedavg.settings import Weighting

NONE_YET = 1e30
"""Stands for a loss where there is none."""


@dataclass(frozen=True)
class Cast:
    """Who plays which part, with what."""

    clients: tuple[str, ...]
    coordinator: str
    judge: str
    """Empty where there are no reference rows."""
    data: Mapping[str, Any]
    """``(x, y)`` at each client."""
    reference: Any
    """``(x, y)`` at the judge, or None."""
    rows: Mapping[str, int]
    shape: tuple[int, ...]

    @property
    def holders(self) -> tuple[str, ...]:
        """Everybody who has the model."""
        everybody = [*self.clients, self.coordinator, *([self.judge] if self.judge else [])]
        return tuple(dict.fromkeys(everybody))


@dataclass
class Standing:
    """What is public of a training besides its figures."""

    weights: dict[str, float]
    seed: str
    """Public randomness of all clients, hex: which coordinates travel, and how they are rotated."""
    bounds: Bounds
    """Of the next round."""
    memory: dict[str, float] = field(default_factory=dict)
    """Running mean of scores."""
    norms: list[float] = field(default_factory=list)
    """Of the noised mean update, per round; what the adaptive schedule follows."""
    best_loss: float = NONE_YET
    blamed: list[tuple[int, str, str]] = field(default_factory=list)
    """(round, client, why)"""
    log: list[dict[str, float]] = field(default_factory=list)
    """Per scored round: the number, and each client's score and next weight."""

    def reweigh(self, rule: Weighting, clients: Sequence[str], number: int, scores: Mapping[str, float]) -> None:
        """Set the weights of the round after ``number`` from its scores."""
        self.memory = weights.remembered(self.memory, scores, rule.memory)
        scored = {party: self.memory.get(party, 0.0) for party in clients}
        self.weights = weights.bounded(scored, rule.smallest, rule.largest)
        row: dict[str, float] = {"round": float(number + 1)}
        for party in clients:
            row |= {f"score {party}": scores.get(party, 0.0), f"weight {party}": self.weights[party]}
        self.log.append(row)

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "bounds": vars(self.bounds), "blamed": [list(each) for each in self.blamed]}

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> "Standing":
        blamed = [(int(number), str(who), str(why)) for number, who, why in document["blamed"]]
        return Standing(**{**document, "bounds": Bounds(**document["bounds"]), "blamed": blamed})
