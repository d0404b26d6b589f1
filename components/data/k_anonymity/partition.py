"""Divide rows into classes that shall look alike.

`mondrian` is strict multidimensional recoding (LeFevre, DeWitt, Ramakrishnan 2006, "Mondrian multidimensional
k-anonymity"): cut the widest column of a group at its median while both halves may stand as classes. Equal values never
part, so classes are boxes. Left out of the paper: relaxed cuts through equal values.
"""

import numpy as np

from veilflow.components.data.k_anonymity.diversity import Test


def mondrian(columns: np.ndarray, test: Test) -> np.ndarray:
    """The class of every row, numbered from 0.

    Args:
        columns: shape ``(rows, columns)``, float64, finite; categories as their rank. Widths are compared relative to
            each column's whole width.
        test: whether a group may stand as a class; must hold for all rows together.

    Returns:
        shape ``(rows,)``, int64. Cost: O(rows * columns * log(rows / k)).
    """
    classes = np.zeros(len(columns), dtype=np.int64)
    width = np.ptp(columns, axis=0)
    scale = np.divide(1.0, width, out=np.zeros_like(width), where=width > 0)
    open_groups, number = [np.arange(len(columns))], 0
    while open_groups:
        rows = open_groups.pop()
        halves = _cut(columns, rows, scale, test)
        if halves is None:
            classes[rows] = number
            number += 1
        else:
            open_groups.extend(halves)
    return classes


def equal_rows(columns: np.ndarray) -> np.ndarray:
    """The class of every row where only rows with equal values share one; shape ``(rows,)``, int64, from 0."""
    inverse: np.ndarray = np.unique(columns, axis=0, return_inverse=True)[1]
    return inverse.reshape(-1).astype(np.int64)


def members(classes: np.ndarray) -> list[np.ndarray]:
    """Per class, in the order of their numbers, the positions of its rows."""
    order = np.argsort(classes, kind="stable")
    return np.split(order, np.cumsum(np.bincount(classes))[:-1])


def _cut(columns: np.ndarray, rows: np.ndarray, scale: np.ndarray, test: Test) -> tuple[np.ndarray, np.ndarray] | None:
    """Two halves of ``rows`` along the widest column that allows a cut, or None."""
    values = columns[rows]
    width = np.ptp(values, axis=0) * scale
    for column in np.argsort(-width, kind="stable"):
        if width[column] == 0:
            return None
        halves = _halves(values[:, column], rows, test)
        if halves is not None:
            return halves
    return None


def _halves(values: np.ndarray, rows: np.ndarray, test: Test) -> tuple[np.ndarray, np.ndarray] | None:
    """The more even of the two cuts beside the median that leave two valid groups."""
    middle = np.partition(values, values.size // 2)[values.size // 2]
    cuts = [values < middle, values <= middle]
    for low in sorted(cuts, key=lambda mask: abs(2 * int(mask.sum()) - values.size)):
        halves = rows[low], rows[~low]
        if test(halves[0]) and test(halves[1]):
            return halves
    return None
