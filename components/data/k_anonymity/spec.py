"""Settings of k-anonymisation. Light: `check` uses them too."""

from dataclasses import dataclass

from veilflow.components.data.names import listed
from veilflow.components.errors import ComponentError

METHODS = ("mondrian", "suppress")
"""``mondrian`` generalises values and keeps every row; ``suppress`` keeps values and drops rows of small classes."""
RELEASES = ("midpoint", "range")
"""What stands for a class's numbers: the middle of its range (stays a number), or the range as text."""
DIVERSITIES = ("distinct", "entropy")


@dataclass(frozen=True)
class AnonymitySpec:
    """Public settings of one k-anonymisation."""

    quasi_identifiers: tuple[str, ...]
    k: int = 5
    method: str = "mondrian"
    release: str = "midpoint"
    l: int = 1  # noqa: E741 - the name it has everywhere
    """Wanted diversity of ``sensitive`` within each class; 1 for none."""
    diversity: str = "distinct"
    sensitive: str = ""
    max_suppressed: float = 0.1
    """The share of rows that ``suppress`` may drop."""

    def check(self) -> None:
        """Raise a `ComponentError` if the settings contradict each other."""
        if not self.quasi_identifiers:
            raise ComponentError("quasi_identifiers is empty: name the columns by which somebody could be recognised.")
        twice = sorted({name for name in self.quasi_identifiers if self.quasi_identifiers.count(name) > 1})
        if twice:
            raise ComponentError(f"quasi_identifiers names {listed(twice)} twice.")
        if self.sensitive in self.quasi_identifiers:
            raise ComponentError(f"'{self.sensitive}' cannot be both sensitive and a quasi-identifier.")
