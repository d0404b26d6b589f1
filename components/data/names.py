"""Messages about column names, and `column:setting` pairs. Light: `check` uses them too."""

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence

from veilflow.components.errors import ComponentError

_SHOWN = 12

SCORE = "score"
"""The column that every prediction adds to its table."""
OURS = {SCORE: "predictions put their scores there", "member": "an anonymous alignment says there which rows count"}
"""Names that columns of ours have."""


def require_free(names: Iterable[str], what: str) -> None:
    """Refuse IDs and labels called like a column of ours: one would replace the other, or be taken for it.

    Raises:
        ComponentError: names them; says what to do.
    """
    taken = [name for name in names if name in OURS]
    if taken:
        why = "; ".join(f"'{name}': {OURS[name]}" for name in taken)
        raise ComponentError(f"{what} cannot have a name that a column of ours has ({why}); rename the column.")


def listed(names: Iterable[str]) -> str:
    """``names`` for a message, in order, at most a dozen of them."""
    known = list(names)
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return ", ".join(known[:_SHOWN]) + more


def require_columns(wanted: Iterable[str], present: Collection[str], where: str) -> None:
    """Raise a `ComponentError` naming every wanted column that is not present, with the nearest names there are."""
    absent = [name for name in dict.fromkeys(wanted) if name not in present]
    if not absent:
        return
    hints = []
    for name in absent:
        close = difflib.get_close_matches(name, list(present), n=1)
        hints.append(f"'{name}'" + (f" (did you mean '{close[0]}'?)" if close else ""))
    raise ComponentError(f"{where} has no column {listed(hints)}; it has: {listed(present)}.")


def parse_pairs(pairs: Sequence[str], choices: Collection[str], what: str) -> Mapping[str, str]:
    """``["age:float", ...]`` as a mapping.

    Raises:
        ComponentError: a pair without ':', a setting not among ``choices``, or a column named twice.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, colon, setting = pair.rpartition(":")
        if not colon or not name:
            raise ComponentError(f"{what}: '{pair}' is not of the form column:setting.")
        if setting not in choices:
            raise ComponentError(f"{what}: '{setting}' of column '{name}' is not one of {', '.join(choices)}.")
        if name in found:
            raise ComponentError(f"{what}: column '{name}' is named twice.")
        found[name] = setting
    return found
