"""What clipping promises, for every input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from veilflow.components.privacy.clip import SLACK, clip_by_norm, clipped_sum, global_norm, private_gradient

FLOATS = hnp.arrays(np.float32, 7, elements=st.floats(width=32, allow_subnormal=False))
clip = jax.jit(clip_by_norm)
BOUNDS = st.sampled_from([1e-3, 0.5, 1.0, 30.0])


def exact(tree) -> float:
    return float(
        np.sqrt(sum(np.sum(np.square(np.asarray(leaf, np.float64))) for leaf in jax.tree_util.tree_leaves(tree)))
    )


@given(FLOATS, FLOATS, BOUNDS)
def test_the_norm_over_all_layers_is_bounded_whatever_comes_in(one, other, bound) -> None:
    clipped = clip({"a": one, "b": {"c": other}}, bound)
    assert exact(clipped) <= bound * (1 + SLACK)
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        assert exact(clipped) == 0


@given(FLOATS)
def test_what_is_short_enough_is_unchanged(one) -> None:
    if np.isfinite(one).all() and exact(one) <= 0.99e30:
        np.testing.assert_array_equal(clip(one, 1e30), one)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_direction_stays_and_no_scale_breaks_the_norm(scale) -> None:
    x = np.array([3.0, -4.0, 0.0], np.float32) * np.float32(scale)
    assert float(global_norm(x)) == pytest.approx(5 * scale, rel=1e-5)
    np.testing.assert_allclose(clip_by_norm(x, scale), np.array([0.6, -0.8, 0.0]) * scale, rtol=1e-5)


def test_each_record_is_clipped_by_itself_and_padding_counts_for_nothing() -> None:
    rng = np.random.default_rng(3)
    gradients = {"w": rng.normal(0, 5, (6, 4, 3)).astype(np.float32), "b": rng.normal(0, 5, (6, 3)).astype(np.float32)}
    gradients["w"][2] = np.nan
    present = np.array([True, True, True, False, True, False])
    total, within = clipped_sum(gradients, jnp.asarray(present), 2.0)
    wanted = {"w": np.zeros((4, 3)), "b": np.zeros(3)}
    for row in (0, 1, 4):
        one = {name: leaf[row].astype(np.float64) for name, leaf in gradients.items()}
        factor = min(1.0, 2.0 / exact(one))
        for name in wanted:
            wanted[name] += factor * one[name]
    for name in wanted:
        np.testing.assert_allclose(total[name], wanted[name], atol=1e-5)
    assert int(within) == 0


def squared_loss(w, record):
    return (jnp.dot(record[0], w) - record[1]) ** 2


@given(st.integers(0, 2**31))
@settings(max_examples=20)
def test_adding_a_record_moves_the_private_gradient_by_no_more_than_the_bound(seed) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0, 100, (9, 5)).astype(np.float32), rng.normal(0, 9, 9).astype(np.float32)
    w = jnp.ones(5)
    with_all, _ = private_gradient(squared_loss, w, (x, y), jnp.ones(9, bool), 0.5)
    without, _ = private_gradient(squared_loss, w, (x, y), jnp.ones(9, bool).at[4].set(False), 0.5)
    assert exact(with_all - without) <= 0.5 * (1 + 1e-4)
