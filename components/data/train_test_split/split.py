"""Which rows are test rows.

Parties agree on a public seed; the split is then a function of seed and row count alone. It is computed from SHAKE-256,
not from a numpy generator, whose stream may change between the numpy versions of two parties.
"""

import hashlib
import math
from fractions import Fraction

import numpy as np

from veilflow.components.errors import ComponentError


def count_test_rows(rows: int, test_size: float) -> int:
    """How many of ``rows`` are test rows: ``ceil(rows * test_size)``.

    Raises:
        ComponentError: if either part would be empty.
    """
    test = math.ceil(rows * Fraction(str(test_size)))  # 100 * 0.07 is a little more than 7 in binary
    if rows < 2 or not 0 < test < rows:
        raise ComponentError(
            f"{rows} row(s) cannot be split with test_size {test_size:g}: that gives {max(rows - test, 0)} train "
            f"and {test} test rows. Give more rows or another size."
        )
    return test


def public_split(seed: bytes, rows: int, test_size: float) -> np.ndarray:
    """A uniformly random choice of test rows that every holder of ``seed`` computes alike.

    Args:
        seed: 16 or more agreed random bytes.

    Returns:
        Boolean mask, shape ``(rows,)``, true for test rows.
    """
    test = count_test_rows(rows, test_size)
    stream = hashlib.shake_256(b"veilflow train_test_split" + len(seed).to_bytes(2, "big") + seed)
    keys = np.frombuffer(stream.digest(8 * rows), dtype="<u8")
    mask = np.zeros(rows, dtype=bool)
    mask[np.argsort(keys, kind="stable")[:test]] = True
    return mask


def stratified_split(labels: np.ndarray, test_size: float, rng: np.random.Generator) -> np.ndarray:
    """Test rows with every class in its share, chosen at the label holder.

    Args:
        labels: shape ``(rows,)``, none missing.
        rng: seeded from the operating system: whoever could repeat the choice would learn labels from it.

    Returns:
        Boolean mask, shape ``(rows,)``: of each class ``round(count * test_size)`` rows, at least one on either side.

    Reveals: to whoever sees the mask, which rows are in which part; and, together with labels known from elsewhere,
    that each part holds a fixed share of each class.

    Raises:
        ComponentError: one class only, or a class with a single row.
    """
    count_test_rows(len(labels), test_size)
    classes, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise ComponentError(f"stratify needs at least two classes in the label; all {len(labels)} rows are of one.")
    if counts.min() < 2:
        small = int((counts < 2).sum())
        raise ComponentError(
            f"stratify needs two rows of each class; {small} of {len(classes)} classes have one. Set stratify: false."
        )
    mask = np.zeros(len(labels), dtype=bool)
    for index, count in enumerate(counts):
        members = np.flatnonzero(inverse == index)
        chosen = min(max(round(count * test_size), 1), count - 1)
        mask[rng.permutation(members)[:chosen]] = True
    return mask
