"""An update's way into the secure sum and back, on top of `privacy.release`.

Weights are whole numbers out of ``UNIT``; they multiply the clients' whole numbers before the sum. With 16 bits and 3
clients a sum fits into 32 bits.
"""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg.settings import Settings
from veilflow.components.privacy.release import Release, fitting, mean_update
from veilflow.components.privacy.sparsify import mixed_mask, random_mask, scatter

UNIT = 1 << 8


def kept(settings: Settings, size: int) -> int:
    """How many of ``size`` coordinates travel."""
    return max(1, round(settings.compress.keep * size))


def release_of(settings: Settings, size: int, multiplier: float) -> Release:
    """How updates of ``size`` parameters leave a client; ``multiplier`` is that of the round."""
    noise = multiplier if settings.privacy.unit == "client" else 0.0
    guard = settings.guard
    return _release(guard.update_norm, noise, kept(settings, size), guard.bits)


@lru_cache(maxsize=256)
def _release(clip: float, multiplier: float, size: int, bits: int) -> Release:
    return fitting(clip, multiplier, size, bits, "stochastic")


def mask_of(settings: Settings, size: int, seed: bytes, number: int, last: np.ndarray) -> np.ndarray | None:
    """The coordinates of round ``number``, sorted; None for all.

    Args:
        last: the last noised mean update, dense; zeros before the first.
    """
    keep = kept(settings, size)
    if keep >= size:
        return None
    if settings.compress.choose == "largest" and last.any():
        return mixed_mask(last, seed, number, keep)
    return random_mask(seed, number, size, keep)


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


def decode(total: np.ndarray, release: Release, mask: np.ndarray | None, size: int, weight: int = 1) -> np.ndarray:
    """The weighted mean update behind a sum, dense float32.

    Args:
        weight: sum of the whole-number weights in ``total``.

    Raises:
        ComponentError: an entry is larger than honest clients can make it.
    """
    beyond = int((np.abs(total) > release.bound * weight).sum())
    if beyond:
        raise ComponentError(
            f"{beyond} of {total.size} entries of the summed update exceed what honest clients can send; the round is "
            "not used. A client sent something else than it should, or parties run different versions."
        )
    mean = mean_update(total, release, weight)
    dense: np.ndarray = (mean if mask is None else scatter(mean, mask, size)).astype(np.float32)
    return dense


def narrowed(total: np.ndarray) -> np.ndarray:
    """``total`` as int32 where it fits: half the bytes on the way to the clients."""
    fits = np.abs(total).max(initial=0) < 2**31
    return total.astype(np.int32) if fits else total


def whole_weights(weights: Mapping[str, float]) -> dict[str, int]:
    """Weights as multiples of 1/UNIT; positive ones stay positive."""
    total = sum(weights.values())
    if total <= 0:
        raise ComponentError("no client's update counts in this round: all weights are 0.")
    return {party: max(1, round(weight / total * UNIT)) if weight > 0 else 0 for party, weight in weights.items()}
