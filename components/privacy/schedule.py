"""Noise multipliers over the rounds. Light.

A noise multiplier z is the noise's deviation divided by the sensitivity. A public schedule composes like any other
list of rounds: its order changes nothing in the total epsilon, so compare schedules at equal epsilon only.

    constant      z
    increasing    z_first -> z_last, geometrically: the paper's order, least noise where the model learns most
    decreasing    z_last -> z_first
    by_round      {0: z, 10: z, ...}: each holds until the next
    adaptive      the paper's: starts at z_first and grows towards z_last as the *noised* aggregate shrinks. Driven by
                  outputs that are protected already, so it costs nothing itself; the rounds must pass a filter
                  (`ledger.Budget`), since nobody knows its sum before. Hong et al. 2021 (arxiv.org/abs/2101.07413) find
                  decreasing noise better for the final loss: measure before choosing.

``floor`` is a least z for the first round, whatever the schedule says: gradients are easiest to invert there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from veilflow.components.errors import ComponentError

KINDS = ("constant", "increasing", "decreasing", "by_round", "adaptive")
DIGITS = 3
"""Multipliers are rounded up to so many significant digits: equal ones can be accounted for together."""


@dataclass(frozen=True)
class Schedule:
    """A public schedule of noise multipliers.

    Args:
        kind: one of `KINDS`.
        first, last: the smallest and the largest multiplier; ``constant`` uses ``first`` alone.
        rounds: over which ``increasing`` and ``decreasing`` go; later rounds keep the last value.
        by_round: of ``by_round``; must have round 0.
        floor: least multiplier of round 0.
        power: of ``adaptive``: how strongly it follows the aggregate.

    Raises:
        ComponentError: values that make no schedule.
    """

    kind: str = "constant"
    first: float = 1.0
    last: float = 1.0
    rounds: int = 1
    by_round: Mapping[int, float] = field(default_factory=dict)
    floor: float = 0.0
    power: float = 0.5

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ComponentError(f"schedule: no kind '{self.kind}'; choose one of {', '.join(KINDS)}.")
        if self.kind == "by_round" and 0 not in self.by_round:
            raise ComponentError("schedule: by_round must say the multiplier of round 0.")
        values = [self.first, self.last, *self.by_round.values()]
        if not all(math.isfinite(each) and each > 0 for each in values) or not 0 <= self.floor < math.inf:
            raise ComponentError("schedule: every multiplier must be positive and finite, and floor not negative.")
        if self.kind not in ("constant", "by_round") and self.last < self.first:
            raise ComponentError(f"schedule: first is {self.first}, above last, {self.last}; exchange them.")
        if self.rounds < 1 or self.power < 0:
            raise ComponentError("schedule: rounds must be at least 1 and power not negative.")

    @property
    def public(self) -> bool:
        """Whether all multipliers are known before training."""
        return self.kind != "adaptive"

    def multiplier(self, round: int, noised_norms: Sequence[float] = ()) -> float:
        """z of ``round``, counted from 0.

        Args:
            noised_norms: of ``adaptive``: the norms of the *noised* aggregates of the rounds before.
        """
        z = round_up(self._raw(round, noised_norms))
        return max(z, round_up(self.floor)) if round == 0 and self.floor > 0 else z

    def multipliers(self, rounds: int) -> list[float]:
        """z of each of ``rounds`` rounds; of ``adaptive`` the least it may be, so that no more can be spent."""
        return [self.multiplier(round) for round in range(rounds)]

    def _raw(self, round: int, norms: Sequence[float]) -> float:
        if self.kind == "by_round":
            return self.by_round[max(known for known in self.by_round if known <= round)]
        if self.kind == "adaptive":
            return self._adaptive(norms)
        if self.kind == "constant":
            return self.first
        share = min(1.0, round / max(1, self.rounds - 1))
        share = 1 - share if self.kind == "decreasing" else share
        return float(self.first * (self.last / self.first) ** share)

    def _adaptive(self, norms: Sequence[float]) -> float:
        usable = [norm for norm in norms if math.isfinite(norm) and norm > 0]
        if len(usable) < 2:
            return self.first
        grown = self.first * max(1.0, usable[0] / usable[-1]) ** self.power
        return float(min(self.last, grown))


def round_up(z: float) -> float:
    """``z`` with `DIGITS` significant digits and never less: more noise than asked for, not less."""
    if z <= 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(z)) - DIGITS + 1)
    steps = math.ceil(z / unit - 1e-9)
    return float(f"{steps * unit:.{DIGITS - 1}e}")
