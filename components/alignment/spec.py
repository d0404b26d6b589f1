"""Settings of alignment: how IDs are normalised and what happens to duplicates. Light: `check` uses it too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from veilflow.components.errors import ComponentError

RULES: Mapping[str, str] = {
    "strip": "white space at both ends is cut off",
    "spaces": "all white space is removed",
    "width": "Unicode NFKC: full-width and other compatibility forms become plain ones; invisible characters go",
    "case": "upper and lower case are the same",
    "number": "a whole number is written in its shortest form: 007, +7 and 7.0 become 7",
    "date": "a date with the year first is written as 1990-01-02: 1990/1/2, 1990.1.2, 19900102, also with midnight",
    "phone": "digits only, without international prefix 00 or +, and without 86 before a mobile number of China",
    "id_card": "resident identity card of China: no spaces or hyphens, x becomes X, 15 characters become 18",
}
"""What may stand in a component's ``normalise``, with what it does. They are applied in this order."""

IMPLIED: Mapping[str, tuple[str, ...]] = {
    "number": ("strip",),
    "date": ("strip",),
    "phone": ("width", "strip"),
    "id_card": ("width", "strip"),
}
"""Rules that make sense only after others; those are applied as well."""

FORMS = frozenset({"number", "date", "phone", "id_card"})
"""Rules that say what kind of ID a column holds: one of them at most."""

DUPLICATES: Mapping[str, str] = {
    "error": "stop, with the counts",
    "first": "keep the first row of each person",
    "last": "keep the last row of each person",
}

PROTOCOLS: Mapping[str, str] = {
    "RR22": "Raghuraman and Rindal 2022; the fastest",
    "KKRT": "Kolesnikov, Kumaresan, Rosulek and Trieu 2016",
    "ECDH": "Diffie-Hellman on Curve25519; least traffic, slowest",
}

BOTH = "both"
"""``receiver`` of a PSI whose result both parties get."""


@dataclass(frozen=True)
class IdRules:
    """Per ID column (by position, the same at both parties) the rules for its text."""

    everywhere: frozenset[str]
    at: Mapping[int, frozenset[str]]
    """Rules for single columns, by position counted from 0, on top of ``everywhere``."""

    def of_column(self, position: int) -> frozenset[str]:
        """The rules for the column at ``position``, those that they imply included."""
        chosen = self.everywhere | self.at.get(position, frozenset())
        return chosen | {implied for rule in chosen for implied in IMPLIED.get(rule, ())}

    def require_positions(self, columns: int) -> None:
        """Raise a `ComponentError` where a rule names a column beyond the last."""
        beyond = sorted(position + 1 for position in self.at if position >= columns)
        if beyond:
            raise ComponentError(
                f"normalise names ID column {', '.join(map(str, beyond))}, but the people are told apart by "
                f"{columns} column(s)."
            )


def parse_rules(entries: Sequence[str]) -> IdRules:
    """``["strip", "2:phone"]`` as rules: for every ID column, or for the second only.

    Raises:
        ComponentError: an unknown rule, a position that is no number from 1 on, or two of `FORMS` for one column.
    """
    everywhere: set[str] = set()
    at: dict[int, set[str]] = {}
    for entry in entries:
        place, colon, name = entry.rpartition(":")
        if name not in RULES:
            raise ComponentError(f"normalise: '{name}' is not one of {', '.join(RULES)}.")
        if not colon:
            everywhere.add(name)
        elif place.isascii() and place.isdigit() and int(place) > 0:
            at.setdefault(int(place) - 1, set()).add(name)
        else:
            raise ComponentError(f"normalise: '{place}' in '{entry}' is not an ID column's position, counted from 1.")
    rules = IdRules(frozenset(everywhere), {position: frozenset(found) for position, found in at.items()})
    for position in (-1, *rules.at):  # -1: the columns without rules of their own
        forms = sorted(FORMS & rules.of_column(position))
        if len(forms) > 1:
            raise ComponentError(f"normalise: one ID column cannot be {' and '.join(forms)} at once; choose one.")
    return rules
