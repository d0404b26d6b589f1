"""What leaves a client, and what the coordinator makes of the sum: the one path that every protected update takes.

    client        mask -> clip -> its public weight -> rotation -> whole numbers -> norm checked -> discrete Gaussian
                  noise -> values beyond the agreed bound saturated -> secure sum
    coordinator   total -> divided by the public weights' sum -> rotated back -> parameter units

Claim (``unit: client``, add or remove one client's vector): with ``multiplier`` z, one round is (1 / (2 z^2))-zCDP for
client i to whoever sees the sum, the other clients included. Each of them knows its own vector and its own noise, and
with ``colluding`` = t those of t further clients besides. Why:

    - Weights. A client multiplies its clipped update by its public factor f_i (its weight over the largest weight of
      the round) before anything is rounded. So its whole numbers have an L2 norm of at most S_i, which is
      `Release.sensitivity` of f_i and exact, rounding included; the largest, S_max, belongs to the largest weight.
    - Rotation keeps norms, and its seed is public: it moves no vector further from zero than it was.
    - Noise. Client i adds a discrete Gaussian of deviation share * z * S_i (at least `MIN_SIGMA` steps). With share 1,
      the default, its own noise alone is z S_i: the claim holds against the coordinator together with *all* others, and
      whoever drops out takes only his own noise along. With ``colluding`` = t, `noise_share` gives the least share with
      which the noise of client i and of the n - 2 - t quietest others adds up to z S_i or more, for every i: one client
      looks at the sum, t tell it theirs. t = 0 is refused: it would leave a client safe from one looker, and from none
      as soon as any two talk. Then the claim needs every client of the round in the sum: a round that one of them
      leaves is void.
    - Saturation comes after the noise: a function of what is protected already.
    - The charge is z per round, whatever the weights, for each client.

With ``multiplier`` 0 there is no noise here: for updates whose noise is in the training already (DP-SGD, see
`horizontal.fedavg.clipped`); everything above is then post-processing, the bound that follows earlier sums included.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.noise import MAX_SIGMA, discrete_gaussian
from veilflow.components.privacy.quantise import Grid, dequantise, quantise
from veilflow.components.privacy.rotate import Rotation
from veilflow.components.privacy.stream import RandomWords, random_words

CAP = 4.0
"""Deviations of a rotated coordinate, noise included, at which it saturates: 6 in 100 000 do at the full norm."""
MIN_SIGMA = 10.0
"""In grid steps: from here on discrete noise costs what continuous noise does, to 1e-3 in epsilon (tested)."""


@dataclass(frozen=True)
class Release:
    """Public settings of one round.

    Args:
        clip: L2 bound of an update, in parameter units.
        multiplier: deviation of the noise in units of the sensitivity; 0: none is added here.
        grid: whole numbers; `fitting` chooses one.
        size: how many coordinates travel.
        bound: no value that `protect` returns is larger: what secure sum and packing must hold.
    """

    clip: float
    multiplier: float
    grid: Grid
    size: int
    bound: int

    def __post_init__(self) -> None:
        if not self.clip > 0 or self.multiplier < 0 or self.size < 1 or self.bound < 1:
            raise ComponentError("release: clip, size and bound must be positive, and multiplier not negative.")
        widest = self.multiplier * self.sensitivity()
        if widest > MAX_SIGMA:
            raise ComponentError(
                f"release: the noise is {widest:.0f} grid steps wide, at most {MAX_SIGMA:.0f} are possible. Use a "
                "coarser grid (fewer guard/bits)."
            )
        if 0 < widest < MIN_SIGMA:
            raise ComponentError(
                f"release: the noise is {widest:.1f} grid steps wide; the accountant counts on at least "
                f"{MIN_SIGMA:.0f}. Use a finer grid (more guard/bits)."
            )

    def sensitivity(self, factor: float = 1.0) -> int:
        """L2 norm of the longest vector of whole numbers of a client with this factor, without noise."""
        return self.grid.sensitivity(factor * self.clip, self.size)

    def sigma(self, factor: float = 1.0, share: float = 1.0) -> float:
        """Deviation of that client's noise, in grid steps: calibrated to the integers, rounding included."""
        if self.multiplier == 0:
            return 0.0
        return max(share * self.multiplier * self.sensitivity(factor), MIN_SIGMA)


def fitting(clip: float, multiplier: float, size: int, bound: int, rounding: str = "stochastic") -> Release:
    """The release with the finest grid, of 1/64 powers of two, whose values are rarely longer than ``bound``.

    Raises:
        ComponentError: the noise alone needs more than that.
    """
    low, high = -64 * 30, 64 * 60
    while low < high:  # the largest exponent, so the finest step, that still fits
        middle = (low + high + 1) // 2
        if _fits(multiplier, size, rounding, middle, bound):
            low = middle
        else:
            high = middle - 1
    if not _fits(multiplier, size, rounding, low, bound):
        raise ComponentError(
            f"release: {size} coordinates do not fit into values up to {bound} with noise multiplier {multiplier}. Use "
            "more guard/bits."
        )
    try:
        return Release(clip, multiplier, Grid(clip * 2.0 ** (-low / 64), rounding), size, bound)
    except ComponentError:
        raise ComponentError(
            f"release: {size} coordinates do not fit into values up to {bound} with noise multiplier {multiplier}: its "
            f"deviation would be less than {MIN_SIGMA:.0f} steps. Use more guard/bits."
        ) from None


def protect(
    update: np.ndarray,
    release: Release,
    rotation: Rotation,
    mask: np.ndarray | None = None,
    factor: float = 1.0,
    share: float = 1.0,
    words: RandomWords = random_words,
) -> np.ndarray:
    """One client's update as int64 of shape ``(release.size,)``, fit to be added by `SecureSum`.

    Args:
        update: floats of shape ``(d,)``; one with cells that are not finite counts as zero.
        rotation: public, of this round.
        mask: coordinates that travel (`sparsify`), ``release.size`` of them; None: all.
        factor: this client's weight over the largest one of the round; public, above 0 and at most 1.
        share: of the noise that protects it alone (`noise_share`).
        words: the source of randomness; only tests give another one.
    """
    assert 0 < factor <= 1, "factors come from public weights"
    assert 0 < share <= 1, "shares come from public figures"
    dense = np.asarray(update, np.float64)
    kept = clipped(dense if mask is None else dense[mask], release.clip)
    if kept.shape != (release.size,):
        raise ComponentError(f"release: {release.size} coordinates were agreed, the update has {kept.size}.")
    units = quantise(rotation.apply(factor * kept), release.grid, factor * release.clip, words)
    if release.multiplier:
        units = units + discrete_gaussian(release.size, release.sigma(factor, share), words)
    saturated: np.ndarray = np.clip(units, -release.bound, release.bound)
    return saturated


def at_bound(units: np.ndarray, release: Release) -> int:
    """How many values are as long as `protect` lets them be: cut off, nearly all of them."""
    return int((np.abs(units) >= release.bound).sum())


def mean_update(total: np.ndarray, release: Release, rotation: Rotation, factors_sum: float) -> np.ndarray:
    """The weighted mean update on the coordinates that travelled, float64, from the secure sum of `protect`'s vectors.

    Args:
        factors_sum: of the clients that are in ``total``; public. The noise is divided with the rest, nothing else is.
    """
    found: np.ndarray = rotation.invert(dequantise(total, release.grid) / factors_sum)
    return found


def noise_share(sensitivities: Mapping[str, float], colluding: int) -> float:
    """Which part of the noise that would protect it alone each client must add so that every client is protected.

    Args:
        sensitivities: of each client of the round; their ratios count.
        colluding: at least 1: how many others, whichever, may tell one more client, who looks at the sum, their noise.

    Returns:
        1 where that leaves nobody else, with ``colluding`` n - 2 or more; ``1 / sqrt(n - 1 - colluding)`` where all
        sensitivities are equal.

    Raises:
        ComponentError: ``colluding`` is less.
    """
    if colluding < 1:
        raise ComponentError(
            "release: colluding is at least 1; with 0 whoever looks at the sum knows too much of the noise."
        )
    values = sorted(sensitivities.values())
    needed = 0.0
    for position, own in enumerate(values):
        others = values[:position] + values[position + 1 :]
        honest = others[: max(0, len(others) - (1 + colluding))]  # whoever looks knows its own noise
        needed = max(needed, own / math.sqrt(own**2 + sum(other**2 for other in honest)))
    return needed


def clipped(update: np.ndarray, bound: float) -> np.ndarray:
    """``update`` with L2 norm at most ``bound``; zeros where a cell is not finite (float64)."""
    largest = float(np.max(np.abs(update), initial=0.0))
    if not np.isfinite(largest):
        return np.zeros_like(update)
    if largest == 0.0:
        return update
    norm = largest * float(np.linalg.norm(update / largest))
    return update if norm <= bound else update * (bound / norm)


def _fits(multiplier: float, size: int, rounding: str, exponent: int, bound: int) -> bool:
    norm = 2.0 ** (exponent / 64)
    sensitivity = Grid(1.0 / norm, rounding).sensitivity(1.0, size)
    if multiplier * sensitivity > MAX_SIGMA:
        return False
    # One step more for rounding. Few coordinates cannot be longer than the whole vector is.
    reach = min(CAP * norm / math.sqrt(size), norm) + 1.0
    if multiplier:
        reach = CAP * math.hypot(sensitivity / math.sqrt(size), multiplier * sensitivity)
    return bool(reach <= bound)
