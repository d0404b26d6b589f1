"""Rules of the run ledger. Light: `check` reads it, too.

Every alignment says something about who is common, if only a number. Runs on chosen parts of a table turn numbers
into names: halving decides 600 to 770 of 1000 memberships in 30 runs at 2 % overlap. So a holder limits how many
*different* inputs meet the same partner, how alike two of them may be, and how often anything is run. With the
defaults the same attack decides 62 on average (that a group of 125 has nobody in common, every second time).

Numbers with noise are limited for ever, since noise averages out: the same question about the same inputs gets the
same noise again (`noise`) and costs nothing; every other one costs its epsilon, and all that a partner was ever told
costs at most ``epsilon``.

Not covered  more than two inputs that single out a person only together, as long as there are no more than ``inputs``
             of them; a holder that runs other code, or deletes both the ledger and its key. Hiding the count covers
             these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from veilflow.components.errors import ComponentError


@dataclass(frozen=True)
class LedgerRules:
    """All are on by default; 0 switches one off."""

    minimum: int = 100
    """Fewest people in a holder's input."""
    change: float = 0.1
    """Two different inputs differ in at least this share of the larger one's people, or of its people's values."""
    inputs: int = 4
    """Different inputs that meet the same partner within ``days``."""
    runs: int = 20
    """Runs with the same partner within 24 hours, repetitions included."""
    days: int = 30
    """How far back ``change`` and ``inputs`` look."""
    epsilon: float = 2.0
    """Privacy loss of all numbers with noise that one partner is ever told, repetitions not counted."""

    def __post_init__(self) -> None:
        if min(self.minimum, self.inputs, self.runs) < 0 or not 0 <= self.change <= 1 or self.days < 1:
            raise ComponentError(
                "run ledger: minimum, inputs and runs must not be negative, change lies between 0 and 1, "
                "and days is at least 1."
            )
        if not (math.isfinite(self.epsilon) and self.epsilon >= 0):
            raise ComponentError("run ledger: epsilon must not be negative; 0 switches the limit off.")
