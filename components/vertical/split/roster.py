"""Who holds what in a vertical table: public facts from its schema."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from veilflow.components.errors import ComponentError


@dataclass(frozen=True)
class Roster:
    """Parties with features (in table order) and the one with the label."""

    features: Mapping[str, tuple[str, ...]]
    label_party: str
    label: str

    @property
    def holders(self) -> tuple[str, ...]:
        """Everybody with data that matters here: feature parties, and the label's if it has no features."""
        return tuple(dict.fromkeys([*self.features, self.label_party]))

    @property
    def bottoms(self) -> tuple[str, ...]:
        """Parties that have a bottom."""
        return tuple(self.features)


def make_roster(features: Mapping[str, Sequence[str]], labels: Mapping[str, Sequence[str]]) -> Roster:
    """Find the label and check that there is something to train across parties.

    Args:
        features: per party its feature columns.
        labels: per party its label columns.

    Raises:
        ComponentError: no label or several, or nobody but the label's holder has features.
    """
    found = [(party, name) for party, names in labels.items() for name in names]
    if len(found) != 1:
        seen = ", ".join(f"'{name}' at {party}" for party, name in found) or "none"
        raise ComponentError(
            f"the table needs exactly one label column, it has {len(found)}: {seen}. "
            "Name it with 'label' in data/read_table, at one party only."
        )
    party, label = found[0]
    have = {p: tuple(names) for p, names in features.items() if names}
    if not set(have) - {party}:
        raise ComponentError(
            f"only {party} would take part: features lie at {', '.join(have) or 'nobody'}, the label at {party}. "
            "Split learning needs features at a party other than the label's."
        )
    return Roster(have, party, label)
