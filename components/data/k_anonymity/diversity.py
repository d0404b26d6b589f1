"""Whether a group of rows is l-diverse (Machanavajjhala et al. 2007, "l-Diversity: privacy beyond k-anonymity")."""

import math
from collections.abc import Callable

import numpy as np

Test = Callable[[np.ndarray], bool]
"""Takes the row positions of a group, says whether it may stand as a class."""


def group_test(k: int, codes: np.ndarray | None, l: int, diversity: str) -> Test:  # noqa: E741
    """A test that a group has at least ``k`` rows and is l-diverse.

    Args:
        codes: the sensitive value of every row as a number from 0; None if ``l`` is 1.
        diversity: ``distinct``: at least ``l`` different values; ``entropy``: entropy of the values at least ``log l``.
    """
    if codes is None or l == 1:
        return lambda rows: bool(rows.size >= k)

    def diverse(rows: np.ndarray) -> bool:
        if rows.size < k:
            return False
        counts = np.unique(codes[rows], return_counts=True)[1]
        if diversity == "distinct":
            return bool(counts.size >= l)
        shares = counts / rows.size
        return bool(-(shares * np.log(shares)).sum() >= math.log(l) - 1e-12)

    return diverse
