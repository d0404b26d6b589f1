"""A word about how many people two tables have in common, where that number is public anyway."""

from collections.abc import Iterable

LOW = 0.05
"""Of the smallest table's people: fewer in common is seldom what was meant."""
_WHY = (
    "if more were expected, compare how the ID columns are written at the parties: capitals, blanks, leading zeros, "
    "dates, country codes; normalise makes them alike"
)


def hint(common: int, people: Iterable[int]) -> str:
    """What to look at where few of the people are common; empty where there is nothing to say.

    Args:
        common: how many are; a number that every party learns in this step.
        people: of each table.
    """
    smallest = min(people, default=0)
    if smallest == 0 or common >= LOW * smallest:
        return ""
    return f"only {common} of the {smallest} people of the smallest table are common ({common / smallest:.1%}); {_WHY}."
