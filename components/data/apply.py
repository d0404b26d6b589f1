"""Apply stored preprocessing rules, in order: what prediction does to new rows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from veilflow.components.data.clean.rule import apply_clean
from veilflow.components.data.scale.rule import apply_scale
from veilflow.components.errors import ComponentError

RULES: Mapping[str, Callable[[pd.DataFrame, Mapping[str, Any]], pd.DataFrame]] = {
    "clean": apply_clean,
    "scale": apply_scale,
}
"""Per rule type the function that applies it: all rows stay, in their order."""

VERSION = 1


def apply_rules(frame: pd.DataFrame, rules: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """``frame`` after each of one party's ``rules``, first to last; ``frame`` itself is not changed.

    Raises:
        ComponentError: a rule of an unknown type or version, or one that does not fit the columns.
    """
    for rule in rules:
        apply = RULES.get(str(rule.get("type")))
        if apply is None:
            raise ComponentError(f"unknown rule type '{rule.get('type')}'; there is: {', '.join(RULES)}.")
        if rule.get("version") != VERSION:
            raise ComponentError(
                f"the {rule['type']} rule has version {rule.get('version')}, not {VERSION}; fit it again."
            )
        frame = apply(frame, rule)
    return frame
