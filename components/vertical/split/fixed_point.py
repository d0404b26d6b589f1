"""Functions that secret programs evaluate: pure JAX, chosen for few rounds and for what 18 fraction bits can hold.

Everything here is correct in plain JAX too (up to the stated approximation), except `clip_factor` and
`row_square_sums`, which work on the bits of fixed-point numbers and only mean something with FM64 and 18 fraction bits.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.polynomial import Chebyshev

FRACTION_BITS = 18

CLAMP = 8.0
"""Logits are clamped to [-CLAMP, CLAMP]; sigmoid(8) = 0.99966."""

_DEGREE = 16


def _fit(x: np.ndarray, y: np.ndarray, degree: int) -> Any:
    """Least-squares Chebyshev series of ``y`` over the range of ``x``."""
    return Chebyshev.fit(x, y, degree)  # type: ignore[no-untyped-call]


def _expansion() -> np.ndarray:
    """Chebyshev coefficients (function x degree) of sigmoid(z) and softplus(z) on [-CLAMP, CLAMP]."""
    nodes = np.cos(np.pi * (np.arange(512) + 0.5) / 512)
    logits = CLAMP * nodes
    sigmoid = 1 / (1 + np.exp(-logits))
    even_softplus = np.logaddexp(0, logits) - logits / 2
    found = np.stack([_fit(nodes, f, _DEGREE).coef for f in (sigmoid, even_softplus)])
    found[0, 2::2] = 0  # sigmoid - 1/2 is odd, softplus(z) - z/2 is even: the rest is rounding noise
    found[1, 1::2] = 0
    found[1, 1] = CLAMP / 2  # z/2 = CLAMP/2 * T_1
    table: np.ndarray = found.astype(np.float32)
    return table


_COEFFICIENTS = _expansion()


def sigmoid_softplus(logits: Array) -> tuple[Array, Array]:
    """Probability and ``log(1 + exp(logit))``, both from one expansion.

    Args:
        logits: shape ``(n,)``.

    Guarantees (``tests/components/vertical/split/test_fixed_point.py``):
        - probability within 2e-3 for every logit, softplus within 6e-3 for logits in [-100, 100];
        - beyond the clamp both stay at, or grow linearly like, the exact function.

    Cost: one comparison of 2n values, five multiplications in sequence.
    """
    beyond = jnp.stack([logits - CLAMP, -CLAMP - logits])
    beyond = jnp.where(beyond > 0, beyond, 0.0)
    values = _COEFFICIENTS[:, 1:] @ _polynomials(logits - beyond[0] + beyond[1])
    probability = values[0] + _COEFFICIENTS[0, 0]
    softplus = values[1] + _COEFFICIENTS[1, 0] + beyond[0]
    return probability, softplus


def sigmoid_and_signs(logits: Array, others: Array) -> tuple[Array, Array]:
    """Probability, and whether each of ``others`` is above 0: all comparisons in one.

    Args:
        logits: shape ``(n,)``.
        others: shape ``(k, n)``; any ring elements: each flag is 0 or 1 whatever stands there.

    Guarantees (same test file): the probability is within 2e-3 for every logit, in [-0.002, 1.002].
    """
    values = jnp.concatenate([jnp.stack([logits - CLAMP, -CLAMP - logits]), others])
    positive = values > 0
    beyond = jnp.where(positive[:2], values[:2], 0.0)
    odd = _COEFFICIENTS[0, 1:] @ _polynomials(logits - beyond[0] + beyond[1])
    return odd + _COEFFICIENTS[0, 0], positive[2:]


def _polynomials(clamped: Array) -> Array:
    """Chebyshev polynomials 1 to `_DEGREE` of values in [-CLAMP, CLAMP]."""
    basis = (clamped * (1 / CLAMP))[None]
    while basis.shape[0] < _DEGREE:  # T_{n+k} = 2 T_n T_k - T_{n-k}: doubles the number of polynomials per round
        last = basis[-1:]
        lower = jnp.concatenate([basis[:-1][::-1], jnp.ones_like(last)])
        basis = jnp.concatenate([basis, (last + last) * basis - lower])
    return basis


CLIP_LIMIT = 2.0**17
"""`clip_factor` is about min(1, 1/sqrt(t)) for t below this; from here to 2**26 it is 0: such a row is left out."""

CLIP_UNIT = 2.0**-6
"""`clip_factor` takes squared norms in this unit, so that the slopes in its table are large enough for 18 bits."""

_STEPS = 17
_STEEP = 13
"""Intervals [2**k, 2**(k + 1)) with a sloping line; above, a constant: there slopes would round to nothing."""


def _tables() -> np.ndarray:
    """Rows turn the bits [t >= 2**k] into the line A + B t below t**-0.5 on the interval that t is in.

    On [1, 2) the line start + slope t touches t**-0.5 from below and lies under it by the same factor at both ends;
    other octaves scale it. All zero for t < 1 and from CLIP_LIMIT on; the third row is -[t >= 1].
    """
    u = np.linspace(1, 2, 4001)
    slope = (2**-0.5 - 1) / (2 - 2**-0.5)
    start = 1 / np.max((1 + slope * u) * np.sqrt(u))
    slope *= start
    octave = np.arange(_STEPS)
    sloping = octave < _STEEP
    starts = np.where(sloping, start, 2**-0.5) * 2.0 ** (-octave / 2)
    slopes = np.where(sloping, slope, 0.0) * 2.0 ** (-1.5 * octave) / CLIP_UNIT
    # Multiples of the fixed point's unit: their differences then are, too, and add up without any rounding.
    levels = [np.append(np.floor(level * 2**FRACTION_BITS) / 2**FRACTION_BITS, 0.0) for level in (starts, slopes)]
    steps = [np.concatenate([[level[0]], np.diff(level)]) for level in levels]
    table: np.ndarray = np.stack([*steps, -np.eye(_STEPS + 1)[0]]).astype(np.float32)
    return table


_TABLES = _tables()


def clip_factor(norm_sq: Array) -> Array:
    """``min(1, 1/sqrt(t))`` without a division, a comparison or a full rsqrt: piecewise linear, from below.

    Args:
        norm_sq: ``t * CLIP_UNIT`` for squared norms ``t`` in units of the clipping bound; non-negative up to rounding,
            t below 2**26.

    Guarantees (same test file, on the deployed ring):
        - 1 for t < 0.99; above, never more than 1.003 times the exact value, so a clipped row keeps the bound;
        - never less than 0.95 times the exact value for t < 2**13, than 0.7 times for t < CLIP_LIMIT;
        - 0 from CLIP_LIMIT on: a row that far outside is dropped rather than let through.

    Fixed point: SPU's own rsqrt returns 0 from 2**17 on and costs three times the rounds.
    Cost: one conversion to bits, five ANDs, one conversion back of 18 bits, one multiplication.
    """
    value = norm_sq.reshape(-1) + 2.0**-16  # rounding may leave -1 ulp, whose top bits are all set
    bits = lax.bitcast_convert_type(value, jnp.int32)
    first = FRACTION_BITS + round(np.log2(CLIP_UNIT))  # the bit that says t >= 1
    bits = lax.shift_right_logical(bits, jnp.int32(2))
    for distance in (1, 2, 4, 8, 16):
        bits = bits | lax.shift_right_logical(bits, jnp.int32(distance))
    reached = [lax.shift_right_logical(bits, jnp.int32(first - 2 + k)) & 1 for k in range(_STEPS + 1)]
    flags = jnp.stack(reached).astype(jnp.int8).astype(jnp.float32)
    starts, slopes, outside = _TABLES @ flags
    return (starts + slopes * value + (1 + outside)).reshape(norm_sq.shape)


NORM_SCALE = 4.0
"""`row_square_sums` is this many times the squared norm. SPU treats constants up to 2**-17 apart, and overflows from
2**28 on with them; the factor keeps the constant below above that."""


def row_square_sums(x: Array, widths: Sequence[int]) -> Array:
    """NORM_SCALE times the squared norms of each row of side-by-side blocks: shape (blocks, rows).

    The squares are summed as integers and rounded once per row instead of once per entry.
    Fixed point: a block's squared norm must stay below 2**22; beyond, rounding fails at random. Only means something
    on an SPU.
    """
    raw = lax.bitcast_convert_type(x, jnp.int32)
    squares = raw * raw  # 36 fraction bits
    ends = np.cumsum(widths)
    sums = [squares[:, end - width : end].sum(axis=1) for end, width in zip(ends, widths, strict=True)]
    return lax.bitcast_convert_type(jnp.stack(sums), jnp.float32) * (NORM_SCALE / 2.0**FRACTION_BITS)


LIMIT = 64.0
"""`limit` keeps values up to this."""

RAISED = 4.0
"""`limit` returns so many times its argument: getting rid of that would cost half as much again."""

WIDEST = 4
"""Columns of one sum of squares; wider blocks are added up from several."""


def limit(x: Array) -> Array:
    """``RAISED * x`` where ``|x| <= LIMIT``; of any other ring element something below 2048, whatever it was.

    What an owner feeds is any ring element it likes; one such as 2**14 has the square 0 in the ring, and would pass as
    a row without length. Limited values cannot: the squares of `WIDEST` of them stay in the ring together.

    How: the upper bits are shifted out at the left end, what is left comes back by truncations, whose results are
    bounded by the protocol. Comparing each value with its limits takes twenty times as long.

    Guarantees (same test file, on ABY3 and CHEETAH, over random ring elements): see above; within 5 * 2**-18.
    Cost: two truncations. Only means something on an SPU.
    """
    # The signs, turned as integers, keep XLA from merging the two factors into one.
    return _opposite(_opposite(x * np.float32(2.0**20)) * np.float32(RAISED * 2.0**-20))


def limited_square_sums(raised: Array, widths: Sequence[int]) -> Array:
    """Squared norms of the rows of side-by-side blocks before `limit` raised them: shape (blocks, rows).

    As `row_square_sums` rounded once per sum, not per entry. Cost: a truncation per row and `WIDEST` columns, and one
    per row and block.
    """
    raw = lax.bitcast_convert_type(raised, jnp.int32)
    squares = raw * raw
    ends = np.cumsum(widths)
    pieces = [
        [squares[:, at : min(at + WIDEST, end)].sum(axis=1) for at in range(end - width, end, WIDEST)]
        for end, width in zip(ends, widths, strict=True)
    ]
    small = jnp.stack([piece for each in pieces for piece in each])
    small = lax.bitcast_convert_type(small, jnp.float32) * np.float32(NORM_SCALE * 2.0**-FRACTION_BITS)
    counts = np.cumsum([len(each) for each in pieces])
    sums = [small[end - len(each) : end].sum(axis=0) for each, end in zip(pieces, counts, strict=True)]
    return _opposite(_opposite(jnp.stack(sums)) * np.float32(RAISED**-2 / NORM_SCALE))


def _opposite(x: Array) -> Array:
    return lax.bitcast_convert_type(-lax.bitcast_convert_type(x, jnp.int32), jnp.float32)


def from_units(whole: Array) -> Array:
    """Whole numbers of 2**-18 as fixed-point numbers, exactly: a float would lose low bits of large noise."""
    return lax.bitcast_convert_type(whole, jnp.float32)
