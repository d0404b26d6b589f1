"""Updates as whole numbers: what secure aggregation can add.

A number x becomes ``round(x / step)`` with ``step = bound / 2**(bits - 1)``, rounded up or down at random so that the
mean is right. ``bound`` is the L2 bound of the update, so no entry exceeds ``2**(bits - 1)``. Weights are whole numbers
out of ``UNIT`` and multiply before the sum; ``clients * UNIT * 2**(bits - 1)`` stays far below 2**63.
"""

from collections.abc import Mapping

import numpy as np

from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg.randomness import SecretStream

UNIT = 1 << 8
"""Weights are multiples of 1/UNIT: with 16 bits and 3 clients a sum fits into 32 bits."""


def shorten(update: np.ndarray, bound: float) -> tuple[np.ndarray, bool]:
    """``update`` with its L2 norm at most ``bound``, and whether it was longer.

    Raises:
        ComponentError: an entry is not finite.
    """
    if not np.isfinite(update).all():
        raise ComponentError(
            f"{int((~np.isfinite(update)).sum())} of {update.size} entries of the local update are not finite: "
            "training went astray here. Lower learning_rate, or scale the features (data/federated_stats)."
        )
    norm = float(np.linalg.norm(update.astype(np.float64)))
    return (update, False) if norm <= bound else ((update * (bound / norm)).astype(update.dtype), True)


def encode(update: np.ndarray, bound: float, bits: int, stream: SecretStream) -> np.ndarray:
    """``update`` as int64, shape (d,), each entry within ``2**(bits - 1)``."""
    limit = float(1 << (bits - 1))
    scaled = update.astype(np.float64) * (limit / bound)
    rounded = np.ceil(scaled - stream.uniform(scaled.size))
    clipped: np.ndarray = np.clip(rounded, -limit, limit).astype(np.int64)
    return clipped


def decode(total: np.ndarray, bound: float, bits: int, weight: int = 1) -> np.ndarray:
    """The weighted mean behind a sum of encoded updates, float32.

    Args:
        weight: sum of the whole-number weights in ``total``.

    Raises:
        ComponentError: an entry is larger than honest clients can make it.
    """
    limit = 1 << (bits - 1)
    beyond = int((np.abs(total) > limit * weight).sum())
    if beyond:
        raise ComponentError(
            f"{beyond} of {total.size} entries of the summed update exceed what honest clients can send; the round is "
            "not used. A client sent something else than it should, or parties run different versions."
        )
    found: np.ndarray = (total.astype(np.float64) * (bound / limit / weight)).astype(np.float32)
    return found


def whole_weights(weights: Mapping[str, float]) -> dict[str, int]:
    """Weights as multiples of 1/UNIT; positive ones stay positive."""
    total = sum(weights.values())
    if total <= 0:
        raise ComponentError("no client's update counts in this round: all weights are 0.")
    return {party: max(1, round(weight / total * UNIT)) if weight > 0 else 0 for party, weight in weights.items()}
