"""How anonymous a table is, counted from the definitions and from nothing else.

This is the judge of `anonymise`, so it shares no code with it: rows are compared as they will be seen.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import pandas as pd


def class_sizes(frame: pd.DataFrame, quasi_identifiers: Sequence[str]) -> Counter[tuple[object, ...]]:
    """How many rows show each combination of quasi-identifiers."""
    return Counter(zip(*(frame[name].tolist() for name in quasi_identifiers), strict=True))


def k_of(frame: pd.DataFrame, quasi_identifiers: Sequence[str]) -> int:
    """The largest k for which ``frame`` is k-anonymous: every row looks like at least k - 1 others. 0 for no rows."""
    return min(class_sizes(frame, quasi_identifiers).values(), default=0)


def l_of(frame: pd.DataFrame, quasi_identifiers: Sequence[str], sensitive: str, diversity: str) -> float:
    """The largest l for which ``frame`` is l-diverse: different sensitive values per class (``distinct``), or the
    exponential of their entropy (``entropy``). 0 for no rows."""
    values: dict[tuple[object, ...], Counter[object]] = defaultdict(Counter)
    keys = zip(*(frame[name].tolist() for name in quasi_identifiers), strict=True)
    for key, value in zip(keys, frame[sensitive].tolist(), strict=True):
        values[key][value] += 1
    measure = len if diversity == "distinct" else _exp_entropy
    return float(min((measure(counts) for counts in values.values()), default=0))


def _exp_entropy(counts: Counter[object]) -> float:
    total = sum(counts.values())
    return math.exp(-sum(count / total * math.log(count / total) for count in counts.values()))
