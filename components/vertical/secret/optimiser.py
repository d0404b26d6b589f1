"""Optimisers inside the SPU, with optax's meaning, and clipping of the mean gradient. Pure JAX.

sgd        ``optax.sgd(rate)``; momentum: ``optax.sgd(rate, momentum=0.9)``.
adam       ``optax.adam(rate, eps=0, eps_root=(2**-5 / scale)**2)``: an epsilon of 1e-8 does not exist with 18 fraction
           bits. Squares are kept ``scale**2`` times larger, or they would be rounded to nothing.
clipping   `optax.clip_by_global_norm`, from below: the factor is at least 0.95 of the exact one (see
           `fixed_point.clip_factor`) and never more than 1.003 times it.
Range      SPU's rsqrt returns 0 from 2**17 on, so `scale` is chosen such that ``(scale * norm)**2`` stays below.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from veilflow.components.vertical.split.fixed_point import CLIP_UNIT, NORM_SCALE, clip_factor, row_square_sums

DECAY, DECAY_SQUARES = 0.9, 0.999

UNCLIPPED_NORM = 4.0
"""Entries of an unclipped mean gradient that adam is made for: a logistic regression's are at most the largest mean
absolute feature, which is about 1 after scaling."""

_SQUARE_LIMIT = 2.0**16
_FLOOR = 2.0**-10


@dataclass(frozen=True)
class Rule:
    """One optimiser: ``sgd``, ``momentum`` or ``adam``."""

    kind: str
    rate: float
    clip: float
    """0: none."""

    @property
    def state(self) -> tuple[str, ...]:
        """Names of its state variables, each as long as the parameters; all start at 0."""
        return {"sgd": (), "momentum": ("velocity",), "adam": ("moment1", "moment2")}[self.kind]

    @property
    def scale(self) -> float:
        """Adam's factor for gradients before squaring: a power of two."""
        return float(2.0 ** np.floor(np.log2(np.sqrt(_SQUARE_LIMIT) / (self.clip or UNCLIPPED_NORM))))

    @property
    def eps_root(self) -> float:
        """What to give `optax.adam` as ``eps_root`` (and ``eps=0``) for the same rule."""
        return _FLOOR / self.scale**2

    @property
    def publics(self) -> tuple[str, ...]:
        """Names of variables that everybody knows and that differ from step to step."""
        return ("rate_now", "unbias") if self.kind == "adam" else ()

    def public_values(self, step: int) -> Mapping[str, np.ndarray]:
        """Values of `publics` for step 0, 1, ...: optax's bias corrections."""
        if self.kind != "adam":
            return {}
        now = self.rate * self.scale / (1 - DECAY ** (step + 1))
        unbias = 1 / (1 - DECAY_SQUARES ** (step + 1))
        return {"rate_now": np.array(now, np.float32), "unbias": np.array(unbias, np.float32)}

    def step(
        self, flat: Array, total: Array, rows: int, state: Sequence[Array], publics: Sequence[Array]
    ) -> tuple[Array, list[Array]]:
        """New parameters and state from the gradient summed over ``rows`` rows."""
        if self.clip == 0 and self.kind != "adam":
            # One product less: the mean and the rate are one factor.
            return self._plain(flat, total, self.rate / rows, state)
        mean = total * (1.0 / rows)
        if self.clip:
            mean = clip_by_norm(mean, self.clip)
        if self.kind != "adam":
            return self._plain(flat, mean, self.rate, state)
        now, unbias = publics
        first = _mix([state[0], mean], [DECAY, 1 - DECAY])
        scaled = mean * self.scale
        second = _mix([state[1], scaled * scaled], [DECAY_SQUARES, 1 - DECAY_SQUARES])
        root = lax.rsqrt(second * unbias + _FLOOR)
        return flat - first * root * now, [first, second]

    def _plain(self, flat: Array, gradient: Array, rate: float, state: Sequence[Array]) -> tuple[Array, list[Array]]:
        """``gradient`` times ``rate`` off the parameters. The velocity is kept times ``rate``, which stays the same."""
        if self.kind == "sgd":
            return flat - gradient * rate, []
        velocity = _mix([state[0], gradient], [DECAY, rate])
        return flat - velocity, [velocity]


def clip_by_norm(gradient: Array, bound: float) -> Array:
    """``gradient * min(1, bound / ||gradient||)``, from below.

    Fixed point: meant for norms below ``362 * bound`` (beyond, the step is dropped) and below 1000; only means
    something on an SPU with FM64 and 18 fraction bits.
    """
    # Scaled before squaring: XLA would merge a factor behind `row_square_sums` with the one inside, which is too small
    # for 18 bits then.
    unit = np.sqrt(CLIP_UNIT / NORM_SCALE) / bound
    square = row_square_sums(gradient[None] * unit, [gradient.shape[0]])
    return gradient * clip_factor(square).reshape(-1)


def _mix(values: Sequence[Array], weights: Sequence[float]) -> Array:
    """A weighted sum with one rounding protocol for all terms."""
    return (jnp.stack(values) * np.array(weights, np.float32)[:, None]).sum(axis=0)
