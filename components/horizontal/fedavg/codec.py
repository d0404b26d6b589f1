"""An update's way into the secure sum and back, on top of `privacy.release`.

Everything in `Code` and `Share` is public and worked out by every party for itself. A client multiplies its update by
its own weight before it is rounded, so that the whole numbers' bits go to the update and not to the weight.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg.settings import Settings
from veilflow.components.privacy.bits import pack_bits, packed_size, signed, unpack_bits, unsigned, width_of
from veilflow.components.privacy.quantise import squared_norm
from veilflow.components.privacy.release import Release, fitting, mean_update, noise_share
from veilflow.components.privacy.rotate import Rotation
from veilflow.components.privacy.sparsify import mixed_mask, random_mask, row_mask, scatter


@dataclass(frozen=True)
class Code:
    """How the updates of one round travel."""

    release: Release
    rotation: Rotation
    mask: np.ndarray | None
    """The coordinates that travel, sorted; None: all."""
    size: int
    """Parameters of the model."""


@dataclass(frozen=True)
class Share:
    """One client's share in a round."""

    factor: float = 1.0
    """Its weight over the largest one."""
    noise: float = 1.0
    """Of the noise that would protect it alone."""


def kept(settings: Settings, size: int) -> int:
    """How many of ``size`` coordinates travel."""
    return max(1, round(settings.compress.keep * size))


def value_bound(settings: Settings, clients: int) -> int:
    """No whole number of an update is larger, in any round: what fits into the bits that the sum of all clients takes.

    Raises:
        ComponentError: see `Guard.check`.
    """
    wanted = (1 << (settings.value_bits - 1)) - 1
    return ((1 << (width_of(wanted * clients) - 1)) - 1) // clients


def code_of(
    settings: Settings,
    size: int,
    clients: int,
    seed: bytes,
    number: int,
    multiplier: float,
    bound: float,
    last: np.ndarray,
    rows: np.ndarray,
) -> Code:
    """The code of round ``number``.

    Args:
        size: parameters of the model.
        clients: how many there are in all.
        multiplier: noise of the round; it is added here where the unit is ``client``.
        bound: L2 bound of an update on the coordinates that travel.
        last: the last noised mean update, dense; zeros before the first.
        rows: of each parameter the row that it is part of; see `layout.row_numbers`.
    """
    noise = multiplier if settings.privacy.unit == "client" else 0.0
    release = fitting(bound, noise, kept(settings, size), value_bound(settings, clients))
    return Code(release, Rotation(seed, number), mask_of(settings, size, seed, number, last, rows), size)


def mask_of(
    settings: Settings, size: int, seed: bytes, number: int, last: np.ndarray, rows: np.ndarray
) -> np.ndarray | None:
    """The coordinates of round ``number``, sorted; None for all.

    Args:
        last: the last noised mean update, dense; zeros before the first.
        rows: of each parameter the row that it is part of.
    """
    keep = kept(settings, size)
    if keep >= size:
        return None
    if settings.compress.choose == "largest" and last.any():
        return mixed_mask(last, seed, number, keep)
    if settings.compress.choose == "rows":
        return row_mask(seed, number, rows, keep)
    return random_mask(seed, number, size, keep)


def shares_of(weights: Mapping[str, float], release: Release, colluding: int) -> dict[str, Share]:
    """What each client of a round has to know, from their public weights.

    Args:
        colluding: how many clients may tell another one, who looks at the sum, their noise; -1: all.

    Raises:
        ComponentError: a weight that counts for nothing; ``colluding`` 0.
    """
    largest = max(weights.values(), default=0.0)
    if largest <= 0 or min(weights.values()) <= 0:
        raise ComponentError("a client's update does not count in this round: its weight is 0. Raise weights/smallest.")
    factors = {party: weight / largest for party, weight in weights.items()}
    noise = 1.0
    if release.multiplier and colluding >= 0:
        noise = noise_share({party: release.sensitivity(factor) for party, factor in factors.items()}, colluding)
    return {party: Share(factor, noise) for party, factor in factors.items()}


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


def decode(code: Code, total: np.ndarray, shares: Mapping[str, Share]) -> np.ndarray:
    """The weighted mean update behind a sum, dense float32.

    Args:
        shares: of the clients whose vectors are in ``total``.

    Raises:
        ComponentError: an entry is larger than honest clients can make it.
    """
    require_possible(total, code.release.bound, len(shares))
    mean = mean_update(total, code.release, code.rotation, sum(share.factor for share in shares.values()))
    dense: np.ndarray = (mean if code.mask is None else scatter(mean, code.mask, code.size)).astype(np.float32)
    return dense


def longest(release: Release, share: Share) -> float:
    """The L2 norm that an honest client's decoded update can have. Noise of unit ``client`` lengthens it: there only
    the bound on entries can be held against anybody."""
    if release.multiplier:
        return float("inf")
    return release.sensitivity(share.factor) * release.grid.step / share.factor


def require_possible(total: np.ndarray, bound: int, clients: int) -> None:
    """Refuse a sum that ``clients`` honest vectors cannot have.

    Raises:
        ComponentError: how many entries are beyond.
    """
    beyond = int((np.abs(total) > bound * clients).sum())
    if beyond:
        raise ComponentError(
            f"{beyond} of {total.size} entries of the summed update exceed what honest clients can send; the round is "
            "not used. A client sent something else than it should, or parties run different versions."
        )


def packed(total: np.ndarray, bound: int, clients: int) -> bytes:
    """A vector of whole numbers, or the sum of ``clients`` of them, in as few bytes as honest ones need.

    Raises:
        ComponentError: one is longer.
    """
    require_possible(total, bound, clients)
    width = width_of(bound * clients)
    return pack_bits(unsigned(total, width), width)


def unpacked(raw: bytes, bound: int, clients: int, length: int) -> np.ndarray:
    """The inverse of `packed`: int64.

    Raises:
        ComponentError: another number of bytes.
    """
    width = width_of(bound * clients)
    return signed(unpack_bits(raw, width, length), width)


def packed_bytes(bound: int, clients: int, length: int) -> int:
    """How long `packed` is."""
    return packed_size(length, width_of(bound * clients))


def mean_norm(release: Release, total: np.ndarray, shares: Mapping[str, Share]) -> float:
    """L2 norm of the mean update behind a sum: rotation has not changed it."""
    return math.sqrt(squared_norm(total)) * release.grid.step / sum(share.factor for share in shares.values())
