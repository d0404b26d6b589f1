"""Where a column's outliers begin."""

import numpy as np

Bounds = tuple[float, float]


def outlier_bounds(values: np.ndarray, method: str, *, quantile: float, zscore: float, iqr: float) -> Bounds | None:
    """The lowest and highest value that is no outlier, or None where the method has nothing to say.

    Args:
        values: finite numbers, shape ``(n,)``.
        method: ``none``; ``quantile``: the ``quantile`` and ``1 - quantile`` quantiles; ``zscore``: mean +- ``zscore``
            standard deviations (divisor n); ``iqr``: quartiles -+ ``iqr`` times their distance (Tukey's fences).

    Columns with at most two distinct values are flags: none of their values is an outlier, however rare. The same holds
    for ``iqr`` where the quartiles coincide, and for constant columns.
    """
    if method == "none" or np.unique(values).size <= 2:
        return None
    if method == "quantile":
        low, high = np.quantile(values, [quantile, 1 - quantile])
    elif method == "zscore":
        largest = np.abs(values).max()  # not 0: there are three distinct values; dividing by it keeps squares finite
        unit = values / largest
        low, high = (unit.mean() + zscore * unit.std() * np.array([-1.0, 1.0])) * largest
    else:
        first, third = np.quantile(values, [0.25, 0.75])
        if first == third:
            return None
        low, high = first - iqr * (third - first), third + iqr * (third - first)
    return float(low), float(high)
