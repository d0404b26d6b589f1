"""Approximations hold on the ring that is deployed; their documented ranges are still the real ones."""

import jax.numpy as jnp
import numpy as np
import pytest
import spu.utils.simulation as simulation
from jax import lax
from spu import libspu

from veilflow.components.vertical.split.fixed_point import (
    CLIP_LIMIT,
    CLIP_UNIT,
    LIMIT,
    NORM_SCALE,
    RAISED,
    WIDEST,
    clip_factor,
    limit,
    limited_square_sums,
    row_square_sums,
    sigmoid_and_signs,
    sigmoid_softplus,
)

LOGITS = np.concatenate([np.linspace(-12, 12, 2001), [-1000, -100, 100, 1000]]).astype(np.float32)


def exact(logits):
    logits = logits.astype(np.float64)
    return np.where(logits > 0, 1 / (1 + np.exp(-np.abs(logits))), 1 - 1 / (1 + np.exp(-np.abs(logits))))


def test_probability_and_softplus_are_close_for_every_logit(on_spu) -> None:
    probability, softplus = on_spu(sigmoid_softplus)(LOGITS)
    np.testing.assert_allclose(probability, exact(LOGITS), atol=2e-3)
    np.testing.assert_allclose(softplus, np.logaddexp(0, LOGITS.astype(np.float64)), atol=2e-3)


def test_plain_jax_computes_the_same_probability() -> None:
    probability, softplus = sigmoid_softplus(jnp.asarray(LOGITS))
    np.testing.assert_allclose(probability, exact(LOGITS), atol=2e-3)
    np.testing.assert_allclose(softplus, np.logaddexp(0, LOGITS.astype(np.float64)), atol=2e-3)


def test_signs_come_with_the_probability_and_are_bits_whatever_is_fed(on_spu) -> None:
    others = np.stack([LOGITS, -LOGITS, np.full_like(LOGITS, 2.0**40), np.full_like(LOGITS, -(2.0**40))])
    probability, signs = on_spu(sigmoid_and_signs)(LOGITS, others)
    np.testing.assert_allclose(probability, exact(LOGITS), atol=2e-3)
    np.testing.assert_array_equal(signs, others > 0)


def wild(high, low):
    """Ring elements from two 32-bit halves: what no float could say."""
    whole = lax.shift_left(high * jnp.int32(1 << 30) + low, jnp.int32(3))
    return lax.bitcast_convert_type(whole, jnp.float32)


@pytest.fixture(scope="module", params=["ABY3", "CHEETAH"])
def on_either(request):
    kind = getattr(libspu.ProtocolKind, request.param)
    config = libspu.RuntimeConfig(protocol=kind, field=libspu.FieldType.FM64, fxp_fraction_bits=18)
    parties = simulation.Simulator(3 if request.param == "ABY3" else 2, config)
    return lambda fn: simulation.sim_jax(parties, fn)


def test_numbers_within_the_limit_are_kept(on_either) -> None:
    x = np.concatenate([np.linspace(-LIMIT, LIMIT, 801), np.logspace(-5, 0, 50)]).astype(np.float32)
    np.testing.assert_allclose(on_either(limit)(x), RAISED * x, atol=5 * 2.0**-18)


def test_no_ring_element_gets_past_the_limit_nor_hides_its_length(on_either) -> None:
    rng = np.random.default_rng(0)
    high, low = (rng.integers(-(2**31), 2**31, (400, 12 * WIDEST - 4)).astype(np.int32) for _ in range(2))
    high[0], low[0] = np.resize(1 << np.arange(31), high.shape[1]), 0  # single bits, whose squares would vanish

    def measured(high, low):
        limited = limit(wild(high, low))
        return limited, limited_square_sums(limited, [WIDEST, 11 * WIDEST - 5, 1])

    limited, squares = on_either(measured)(high, low)
    assert np.abs(limited).max() < 2048
    cut = np.split((limited.astype(np.float64) / RAISED) ** 2, [WIDEST, WIDEST * 12 - 5], axis=1)
    np.testing.assert_allclose(squares, [each.sum(axis=1) for each in cut], rtol=1e-4, atol=0.1)


def test_small_rows_are_measured_too(on_either) -> None:
    x = np.random.default_rng(0).normal(size=(200, 20)) * np.logspace(-2, 0.5, 200)[:, None]
    found = on_either(lambda x: limited_square_sums(limit(x), [3, 17]))(x.astype(np.float32))
    expected = [(x[:, :3] ** 2).sum(axis=1), (x[:, 3:] ** 2).sum(axis=1)]
    np.testing.assert_allclose(found, expected, rtol=0.01, atol=2e-5)


def factor(on_spu, norms):
    return on_spu(clip_factor)((norms * CLIP_UNIT).astype(np.float32))


def test_rows_inside_the_bound_are_not_scaled(on_spu) -> None:
    inside = np.concatenate([np.zeros(50), np.full(50, 2.0**-10), np.linspace(0, 0.99, 200)])
    np.testing.assert_allclose(factor(on_spu, inside), 1.0, atol=1e-5)


def test_rows_outside_the_bound_are_scaled_to_it(on_spu) -> None:
    for exponents, least in ((np.linspace(0.01, 12.99, 900), 0.95), (np.linspace(13, 16.99, 300), 0.7)):
        outside = 2.0**exponents
        ratio = factor(on_spu, outside) * np.sqrt(outside)
        assert ratio.max() <= 1.003, "a clipped row would exceed the bound by more than documented"
        assert ratio.min() >= least


def test_rows_far_outside_are_left_out_rather_than_let_through(on_spu) -> None:
    far = CLIP_LIMIT * 2.0 ** np.linspace(0.01, 8.9, 200)
    np.testing.assert_allclose(factor(on_spu, far), 0.0, atol=1e-4)


def test_the_factor_keeps_the_shape(on_spu) -> None:
    norms = np.array([[0.25, 4.0, 16.0], [100.0, 1.5, 0.0]])
    np.testing.assert_allclose(factor(on_spu, norms), np.minimum(1, 1 / np.sqrt(norms + 1e-12)), rtol=0.05)


def test_the_documented_range_of_row_norms_is_still_the_real_range(on_spu) -> None:
    largest = (2.0 ** np.linspace(0, 10.99, 400)).astype(np.float32)[:, None]
    found = on_spu(lambda values: row_square_sums(values, [1]))(largest)[0] / NORM_SCALE
    np.testing.assert_allclose(found, largest[:, 0] ** 2, rtol=1e-3)
    beyond = np.full((2000, 1), 16000.0, np.float32)
    found = on_spu(lambda values: row_square_sums(values, [1]))(beyond)[0] / NORM_SCALE
    assert np.abs(found - 16000.0**2).max() > 1000, "range grew: revise the docstring"


def test_row_norms_are_summed_without_losing_small_entries(on_spu) -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(64, 9)) * np.logspace(-3, 1.5, 64)[:, None]).astype(np.float32)
    found = on_spu(lambda values: row_square_sums(values, [4, 5]))(x) / NORM_SCALE
    expected = np.stack([(x[:, :4].astype(np.float64) ** 2).sum(1), (x[:, 4:].astype(np.float64) ** 2).sum(1)])
    np.testing.assert_allclose(found, expected, rtol=5e-3, atol=8e-6)
