"""Do the clients' tables mean the same by the same name? Decided on public schemas and agreed categories. Light."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from veilflow.components.data.names import listed
from veilflow.components.errors import ComponentError


@dataclass(frozen=True)
class Columns:
    """What every client's table looks like."""

    features: tuple[str, ...]
    label: str
    categories: Mapping[str, tuple[str, ...]]
    """Text features and the values they may have; each becomes one column of 0 and 1 per value."""

    @property
    def width(self) -> int:
        """Inputs of the model."""
        return sum(len(self.categories[name]) if name in self.categories else 1 for name in self.features)

    def to_json(self) -> dict[str, object]:
        texts = {name: list(values) for name, values in self.categories.items()}
        return {"features": list(self.features), "label": self.label, "categories": texts}


def parse_categories(entries: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """``["city:north|south"]`` as a mapping.

    Raises:
        ComponentError: an entry of another form, or a value named twice.
    """
    found: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        name, colon, values = entry.partition(":")
        known = tuple(value.strip() for value in values.split("|"))
        if not (name and colon and all(known)) or len(set(known)) < len(known) or name in found:
            raise ComponentError(
                f"categories: '{entry}' is not of the form column:one|two|three with different values."
            )
        found[name] = known
    return found


def common_columns(
    features: Mapping[str, Sequence[str]],
    labels: Mapping[str, Sequence[str]],
    types: Mapping[str, Mapping[str, str]],
    categories: Mapping[str, tuple[str, ...]],
) -> Columns:
    """The columns that all clients share.

    Args:
        features, labels: per party its columns, in table order.
        types: per party and column its type; ``str`` is text.

    Raises:
        ComponentError: other columns, numbers here and text there, no label, text without categories.
    """
    first = next(iter(features))
    for party in features:
        if len(labels[party]) != 1:
            raise ComponentError(
                f"the table of {party} has {len(labels[party])} label column(s); name one with 'label' in "
                "data/read_table, the same at every client."
            )
        if labels[party][0] != labels[first][0]:
            raise ComponentError(
                f"the label is '{labels[first][0]}' at {first} and '{labels[party][0]}' at {party}; rename one."
            )
    require_same_features(features, types)
    texts = [name for name in features[first] if types[first][name] == "str"]
    open_texts = [name for name in texts if name not in categories]
    if open_texts:
        raise ComponentError(
            f'{listed(open_texts)} hold(s) text: agree on the values with categories: ["{open_texts[0]}:one|two"], or '
            "leave the column out with 'drop' in data/read_table."
        )
    strange = [name for name in categories if name not in texts]
    if strange:
        raise ComponentError(
            f"categories name {listed(strange)}, which the clients have not as text features; leave it out."
        )
    return Columns(tuple(features[first]), labels[first][0], {name: categories[name] for name in texts})


def require_same_features(features: Mapping[str, Sequence[str]], types: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse clients whose features differ in name, or are numbers here and text there. Order does not matter: columns
    are taken by name, in the first client's order.

    Raises:
        ComponentError: names two clients and the columns.
    """
    first, *others = features
    for party in others:
        _same(first, party, list(features[first]), list(features[party]))
        mixed = [n for n in features[first] if (types[first][n] == "str") != (types[party][n] == "str")]
        if mixed:
            raise ComponentError(
                f"{listed(mixed)}: text at one of {first} and {party}, numbers at the other; declare 'types' in "
                "data/read_table."
            )


def _same(first: str, party: str, one: list[str], other: list[str]) -> None:
    lacks, has = [n for n in one if n not in other], [n for n in other if n not in one]
    if lacks or has:
        parts = [f"lacks {listed(lacks)}" if lacks else "", f"has {listed(has)} besides" if has else ""]
        raise ComponentError(
            f"the tables of {first} and {party} have other columns: {party} {' and '.join(filter(None, parts))}. "
            "Choose the same with 'columns' or 'drop' in data/read_table."
        )
