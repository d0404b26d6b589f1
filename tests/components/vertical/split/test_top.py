"""The hand-written derivatives against jax.grad, for every activation and depth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veilflow.components.vertical.split import top
from veilflow.components.vertical.split.model import TOP_ACTIVATIONS, Dense

ROWS, WIDTH = 12, 5


def case(layers, activation):
    rng = np.random.default_rng(len(layers))
    spec = Dense(layers, activation)
    flat = jnp.asarray(top.init_top(WIDTH, spec, rng)) + jnp.asarray(
        rng.normal(0, 0.1, top.count(WIDTH, spec)), jnp.float32
    )
    x = jnp.asarray(rng.normal(size=(ROWS, WIDTH)), jnp.float32)
    y = jnp.asarray(rng.random(ROWS) < 0.5, jnp.float32)
    return spec, flat, x, y


def loss(flat, x, y, spec):
    logits = top.forward(top.unpack(flat, WIDTH, spec), spec.activation, x).logits
    return jnp.sum(jax.nn.softplus(logits) - y * logits)


@pytest.mark.parametrize("activation", TOP_ACTIVATIONS)
@pytest.mark.parametrize("layers", [(), (1,), (4,), (4, 3), (4, 1, 3), (3, 3, 2)])
def test_the_jacobian_gives_the_gradients_of_jax(layers, activation) -> None:
    spec, flat, x, y = case(layers, activation)
    pieces = top.unpack(flat, WIDTH, spec)
    run = top.forward(pieces, activation, x)
    deltas, at_cut = top.jacobian(pieces, run)
    error = (jax.nn.sigmoid(run.logits) - y)[:, None]
    parts = []
    for inputs, delta in zip([x, *run.hidden], deltas, strict=True):
        parts += [(inputs.T @ (delta * error)).reshape(-1), (delta * error).sum(axis=0)]
    expected, expected_cut = jax.grad(loss, (0, 1))(flat, x, y, spec)
    np.testing.assert_allclose(jnp.concatenate(parts), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(at_cut * error, expected_cut, rtol=1e-4, atol=1e-5)


def test_quadratic_stays_close_to_softplus_where_it_is_used() -> None:
    z = jnp.linspace(-3, 3, 101)[:, None]
    spec = Dense((1,), "quadratic")
    flat = jnp.asarray([1.0, 0.0, 1.0, 0.0])
    found = top.forward(top.unpack(flat, 1, spec), "quadratic", z).logits
    np.testing.assert_allclose(found, jax.nn.softplus(z[:, 0]), atol=0.3)


def test_parameters_are_counted_as_they_are_laid_out() -> None:
    spec = Dense((4, 3), "relu")
    flat = top.init_top(WIDTH, spec, np.random.default_rng(0))
    assert flat.shape == (top.count(WIDTH, spec),) == (5 * 4 + 4 + 4 * 3 + 3 + 3 + 1,)
    assert [kernel.shape for kernel, _ in top.unpack(jnp.asarray(flat), WIDTH, spec)] == [(5, 4), (4, 3), (3, 1)]
