"""The few functions of the secret programs that work on the bits of ring elements, and what they are in plain floats.

Everything else in `programs` is ordinary JAX. So one and the same program runs in the SPU, and in the clear for tests
that ask what its outputs tell.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from veilflow.components.vertical.split import fixed_point


class Arithmetic(NamedTuple):
    """See `fixed_point` for each of them."""

    limit: Callable[[Array], Array]
    square_sums: Callable[[Array, Sequence[int]], Array]
    clip_factor: Callable[[Array], Array]
    from_units: Callable[[Array], Array]


SECRET = Arithmetic(fixed_point.limit, fixed_point.limited_square_sums, fixed_point.clip_factor, fixed_point.from_units)


def _square_sums(raised: Array, widths: Sequence[int]) -> Array:
    ends, x = np.cumsum(widths), raised / fixed_point.RAISED
    return jnp.stack([(x[:, end - width : end] ** 2).sum(axis=1) for end, width in zip(ends, widths, strict=True)])


def _clip_factor(norm_sq: Array) -> Array:
    return jnp.minimum(1.0, (jnp.maximum(norm_sq, 1e-12) / fixed_point.CLIP_UNIT) ** -0.5)


def _from_units(whole: Array) -> Array:
    return whole.astype(jnp.float32) * 2.0**-fixed_point.FRACTION_BITS


PLAIN = Arithmetic(lambda x: fixed_point.RAISED * x, _square_sums, _clip_factor, _from_units)
"""In floats, exact where the ring approximates."""
