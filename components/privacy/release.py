"""What leaves a client, and what the coordinator makes of the sum: the one path that every protected update takes.

    client        clip -> mask -> clip again -> whole numbers -> norm checked -> discrete Gaussian noise -> secure sum
    coordinator   total -> divided by the public weights' sum -> parameter units

Claim (``unit: client``, add or remove one client's vector): with ``multiplier`` z, one round is (1 / (2 z^2))-zCDP to
whoever sees the sum, *and* to whoever would see the client's own vector: each client adds the full noise itself, so
that n - 1 colluding others cannot take it away. Charge z per round (`ledger`), whatever the weights: a client's weight
multiplies its vector and its noise alike, so z stays what it is even if weights differ.

With ``multiplier`` 0 there is no noise here: for updates whose noise is in the training already (DP-SGD with
`clip.private_gradient`; the update is then post-processing).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.noise import MAX_SIGMA, discrete_gaussian
from veilflow.components.privacy.quantise import Grid, dequantise, quantise
from veilflow.components.privacy.stream import RandomWords, random_words

TAILS = 12.0
"""Noise beyond so many deviations is cut off to fit the agreed bound: its probability, 2**-107 per value, is far below
any delta."""
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
    """

    clip: float
    multiplier: float
    grid: Grid
    size: int

    def __post_init__(self) -> None:
        if not self.clip > 0 or self.multiplier < 0 or self.size < 1:
            raise ComponentError("release: clip and size must be positive, and multiplier not negative.")
        if self.sigma > MAX_SIGMA:
            raise ComponentError(
                f"release: the noise is {self.sigma:.0f} grid steps wide, at most {MAX_SIGMA:.0f} are possible. Use a "
                "coarser grid."
            )
        if 0 < self.sigma < MIN_SIGMA:
            raise ComponentError(
                f"release: the noise is {self.sigma:.1f} grid steps wide; the accountant counts on at least "
                f"{MIN_SIGMA:.0f}. Use a finer grid (more value bits)."
            )

    @property
    def sensitivity(self) -> int:
        """L2 norm of the largest vector of whole numbers, without noise."""
        return self.grid.sensitivity(self.clip, self.size)

    @property
    def sigma(self) -> float:
        """Deviation of the noise, in grid steps: calibrated to the integers, rounding included."""
        return self.multiplier * self.sensitivity

    @property
    def bound(self) -> int:
        """No value that `protect` returns is larger: what secure sum and packing must hold, before weights."""
        return _bound(self.sensitivity, self.multiplier)


def fitting(clip: float, multiplier: float, size: int, value_bits: int = 16, rounding: str = "nearest") -> Release:
    """A release whose values fit into ``value_bits`` (sign included): the finest grid of 1/64 powers of two that does.

    Raises:
        ComponentError: the noise alone needs more bits than that.
    """
    most = (1 << (value_bits - 1)) - 1
    low, high = 0, 64 * 60
    while low < high:  # the largest exponent, so the finest step, that still fits
        middle = (low + high + 1) // 2
        if _fits(clip, multiplier, size, rounding, middle, most):
            low = middle
        else:
            high = middle - 1
    if not _fits(clip, multiplier, size, rounding, low, most):
        raise ComponentError(
            f"release: {size} coordinates do not fit into {value_bits} bits with noise multiplier {multiplier}. Use "
            "more value bits."
        )
    return Release(clip, multiplier, Grid(clip * 2.0 ** (-low / 64), rounding), size)


def protect(
    update: np.ndarray, release: Release, mask: np.ndarray | None = None, words: RandomWords = random_words
) -> np.ndarray:
    """One client's update as int64 of shape ``(release.size,)``, fit to be added by `SecureSum`.

    Args:
        update: floats of shape ``(d,)``; one with cells that are not finite counts as zero.
        mask: coordinates that travel (`sparsify`), ``release.size`` of them; None: all.
        words: the source of randomness; only tests give another one.
    """
    dense = clipped(np.asarray(update, np.float64), release.clip)
    kept = dense if mask is None else dense[mask]
    if kept.shape != (release.size,):
        raise ComponentError(f"release: {release.size} coordinates were agreed, the update has {kept.size}.")
    units = quantise(kept, release.grid, release.clip, words)
    if release.multiplier == 0:
        return units
    reach = int(TAILS * release.sigma)
    noise = discrete_gaussian(release.size, release.sigma, words)
    protected: np.ndarray = units + np.clip(noise, -reach, reach)
    return protected


def mean_update(total: np.ndarray, release: Release, weights_sum: int) -> np.ndarray:
    """The weighted mean update, float64, from the secure sum of `protect`'s vectors times their weights.

    Args:
        weights_sum: of the clients that are in ``total``; public. The noise is divided with the rest, nothing else is.
    """
    return dequantise(total, release.grid) / weights_sum  # type: ignore[no-any-return]


def clipped(update: np.ndarray, bound: float) -> np.ndarray:
    """``update`` with L2 norm at most ``bound``; zeros where a cell is not finite (float64; see `clip` for JAX)."""
    largest = float(np.max(np.abs(update), initial=0.0))
    if not np.isfinite(largest):
        return np.zeros_like(update)
    if largest == 0.0:
        return update
    norm = largest * float(np.linalg.norm(update / largest))
    return update if norm <= bound else update * (bound / norm)


def _bound(sensitivity: int, multiplier: float) -> int:
    return sensitivity + int(TAILS * multiplier * sensitivity)


def _fits(clip: float, multiplier: float, size: int, rounding: str, exponent: int, most: int) -> bool:
    sensitivity = Grid(clip * 2.0 ** (-exponent / 64), rounding).sensitivity(clip, size)
    return multiplier * sensitivity <= MAX_SIGMA and _bound(sensitivity, multiplier) <= most
