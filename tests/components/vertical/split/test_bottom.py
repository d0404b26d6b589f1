"""What an owner infeeds is enough to rebuild its gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veilflow.components.vertical.split.bottom import (
    MAX_NORM,
    apply_dense,
    feed_shapes,
    gradient_sizes,
    init_dense,
    pack_params,
    trace_dense,
    unpack_gradient,
    unpack_params,
)
from veilflow.components.vertical.split.model import BOTTOM_ACTIVATIONS, Dense

ROWS, FEATURES = 9, 4


def rebuilt(feeds, spec, at_cut):
    """Per-row gradients from the feeds alone, as the secret program forms them before clipping."""
    depth = len(spec.layers)
    delta = at_cut * feeds[f"slope{depth}"]
    blocks = []
    for number in range(depth, 0, -1):
        blocks.insert(0, jnp.einsum("bi,bj->bij", feeds[f"input{number}"], delta))
        if number > 1:
            delta = (delta @ feeds[f"kernel{number}"].T) * feeds[f"slope{number - 1}"]
    return blocks


@pytest.mark.parametrize("activation", BOTTOM_ACTIVATIONS)
@pytest.mark.parametrize("layers", [(3,), (5, 2)])
def test_feeds_give_the_gradients_of_jax(layers, activation) -> None:
    rng = np.random.default_rng(0)
    spec = Dense(layers, activation)
    params = init_dense(FEATURES, spec, rng)
    x = jnp.asarray(rng.normal(size=(ROWS, FEATURES)), jnp.float32)
    at_cut = jnp.asarray(rng.normal(size=(ROWS, layers[-1])), jnp.float32)
    feeds = trace_dense(spec)(params, x)
    assert {name: value.shape for name, value in feeds.items()} == feed_shapes(FEATURES, spec, ROWS)
    np.testing.assert_allclose(feeds["embedding"], apply_dense(params, spec, x), rtol=1e-5, atol=1e-6)

    def pulled(p, row, cut):
        return jnp.sum(apply_dense(p, spec, row[None])[0] * cut)

    expected = jax.vmap(jax.grad(pulled), (None, 0, 0))(params, x, at_cut)
    for block, layer in zip(rebuilt(feeds, spec, at_cut), expected, strict=True):
        np.testing.assert_allclose(block[:, :-1], layer["kernel"], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(block[:, -1], layer["bias"], rtol=1e-4, atol=1e-5)


def test_rows_beyond_the_limit_are_shrunk_to_it() -> None:
    spec = Dense((3,), "relu")
    params = init_dense(FEATURES, spec, np.random.default_rng(0))
    x = jnp.asarray(np.full((2, FEATURES), [[1.0], [1e6]]), jnp.float32)
    feeds = trace_dense(spec)(params, x)
    lengths = np.linalg.norm(feeds["input1"], axis=1)
    np.testing.assert_allclose(lengths, [np.sqrt(FEATURES + 1), MAX_NORM], rtol=1e-5)


def test_an_opened_vector_is_read_in_the_order_it_was_written() -> None:
    spec = Dense((3, 2), "relu")
    sizes = gradient_sizes(FEATURES, spec)
    assert sizes == [(5, 3), (4, 2)]
    blocks = [np.arange(n * m, dtype=np.float32).reshape(n, m) + 100 * i for i, (n, m) in enumerate(sizes)]
    found = unpack_gradient(np.concatenate([block.reshape(-1) for block in blocks]), FEATURES, spec)
    for block, layer in zip(blocks, found, strict=True):
        np.testing.assert_array_equal(layer["kernel"], block[:-1])
        np.testing.assert_array_equal(layer["bias"], block[-1])


def test_parameters_survive_being_stored() -> None:
    params = init_dense(FEATURES, Dense((3, 2), "relu"), np.random.default_rng(0))
    again = unpack_params(pack_params(params), 2)
    assert jax.tree_util.tree_all(jax.tree_util.tree_map(lambda a, b: bool((a == b).all()), params, again))
