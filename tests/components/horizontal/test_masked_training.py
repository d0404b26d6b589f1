"""Clipped sums, on all coordinates and on those that travel: against plain JAX, row by row."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as example
from hypothesis import strategies as st

from veilflow.components.horizontal.fedavg.batches import Batches, shuffled
from veilflow.components.horizontal.fedavg.client import common, learn, make_client
from veilflow.components.horizontal.fedavg.clipped import ROWS, clipped_sum, rows_on
from veilflow.components.horizontal.fedavg.layout import flatten, layout_of, unflatten
from veilflow.components.horizontal.fedavg.local import train_round
from veilflow.components.horizontal.fedavg.networks import network, row_loss
from veilflow.components.horizontal.fedavg.randomness import SecretStream
from veilflow.components.horizontal.fedavg.settings import Compress, LocalSettings, ModelSpec, Privacy, Settings
from veilflow.components.training.tally import Tally

LOGISTIC, MLP = ModelSpec("logistic", ()), ModelSpec("mlp", (6, 4), "tanh")
NORMED = ModelSpec("mlp", (6,), norm="layer")
BOUND = 0.4
DENSE_SUM = jax.jit(clipped_sum(MLP, network(MLP)))


def rows(count: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 5)).astype(np.float32)
    return x, (x[:, 0] + 0.3 * rng.normal(size=count) > 0).astype(np.float32)


def made(spec: ModelSpec):
    return network(spec).init((5,), np.random.default_rng(0))[0]


def some(params, share: float, seed: int = 0):
    """A random mask, as positions and by name."""
    layout = layout_of(params)
    flags = (np.random.default_rng(seed).random(layout.size) < share).astype(np.float32)
    flags[0] = 1.0
    return np.flatnonzero(flags), unflatten(flags, layout)


@pytest.mark.parametrize("share", [None, 0.1, 0.5])
@pytest.mark.parametrize("spec", [LOGISTIC, MLP, NORMED], ids=["logistic", "dense", "by row"])
def test_clipped_sums_equal_masking_and_clipping_row_by_row(spec, share):
    x, y = rows(12)
    params = made(spec)
    net, weight = network(spec), np.array([1.0] * 9 + [0.0] * 3, np.float32)
    mask = None if share is None else some(params, share)[1]
    gradient = jax.jit(jax.grad(lambda p, one, label: row_loss(net.apply(p, {}, one[None])[0], label)))
    wanted, votes = {name: np.zeros(value.shape) for name, value in params.items()}, 0
    for i in range(9):
        grads = {n: g if mask is None else g * mask[n] for n, g in gradient(params, x[i], y[i]).items()}
        norm = np.sqrt(sum(float(jnp.sum(g**2)) for g in grads.values()))
        votes += 1 if norm <= BOUND else -1
        for name, g in grads.items():
            wanted[name] += np.asarray(g) * min(1.0, BOUND / norm)
    found, loss, counted = clipped_sum(spec, net)(params, x, y, weight, BOUND, mask)
    for name in params:
        np.testing.assert_allclose(found[name], wanted[name], atol=1e-5)
    assert counted == votes
    assert loss == pytest.approx(float(row_loss(net.apply(params, {}, x[:9]), y[:9]).sum()), rel=1e-5)


@example(max_examples=60)
@given(st.integers(0, 10_000), st.floats(0.02, 1.0), st.floats(0.01, 10.0), st.floats(-4, 5), st.booleans())
def test_one_row_moves_the_masked_sum_by_at_most_the_bound(seed, share, bound, scale, whole):
    x, y = rows(8, seed)
    x[3] *= 10.0**scale
    params = made(MLP)
    _, mask = some(params, share, seed)
    if whole:  # a norm over whole rows, however few of their coordinates move
        mask = {**mask, **rows_on({name: np.asarray(each) for name, each in mask.items()}, most=1e9)}
    total = DENSE_SUM
    with_row, _, yes = total(params, x, y, np.ones(8, np.float32), bound, mask)
    without, _, fewer = total(params, x, y, (np.arange(8) != 3).astype(np.float32), bound, mask)
    moved = np.sqrt(sum(float(jnp.sum((with_row[n] - without[n]) ** 2)) for n in params))
    assert moved <= bound * (1 + 1e-4) + 1e-5
    assert abs(yes - fewer) == 1, "a vote counts one"


def test_on_whole_rows_the_quick_norm_is_the_exact_one_and_elsewhere_it_is_not_used():
    x, y = rows(12)
    params, weight = made(MLP), np.ones(12, np.float32)
    flags = {name: np.zeros(value.shape, np.float32) for name, value in params.items()}
    flags["Dense_0/kernel"][[1, 3]] = flags["Dense_1/kernel"][2:] = flags["Dense_1/bias"][:] = 1.0
    quick = rows_on(flags)
    assert {name: each.sum() for name, each in quick.items() if each.any()} == {
        "Dense_0/kernel" + ROWS: 2,
        "Dense_1/kernel" + ROWS: 4,
    }
    total = clipped_sum(MLP, network(MLP))
    one, _, _ = total(params, x, y, weight, BOUND, flags)
    other, _, _ = total(params, x, y, weight, BOUND, {**flags, **quick})
    for name in params:
        np.testing.assert_allclose(one[name], other[name], atol=1e-6)
    flags["Dense_0/kernel"][:, 0] = 1.0
    assert rows_on(flags) == {}, "one column of every row: whole rows would count far too much"


@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("guarded", [True, False])
def test_only_what_travels_moves_and_noise_lies_on_it_in_order(optimiser, guarded):
    x, y = rows(12)
    params = made(MLP)
    layout = layout_of(params)
    moving, _ = some(params, 0.3)
    local = LocalSettings(rate=0.1, optimiser=optimiser, proximal=0.1)
    before = np.asarray(flatten(params, layout))

    def after(noise):
        batches = Batches(np.zeros((2, 4), np.int32), np.full((2, 4), 0.0 if guarded else 1.0, np.float32), 4.0)
        given = {"clip": 1.0, "noise": noise} if guarded else {}
        found = train_round(MLP, local, params, {}, (x, y), batches, **given, moving=moving)[0]
        return np.asarray(flatten(found, layout)) - before

    moved = after(np.tile(np.arange(1, len(moving) + 1, dtype=np.float32), (2, 1)))
    assert (moved[np.setdiff1d(np.arange(layout.size), moving)] == 0).all()
    assert (moved[moving] != 0).mean() > 0.9
    if guarded and optimiser == "sgd":
        once = train_round(
            MLP,
            LocalSettings(rate=1.0),
            params,
            {},
            (x, y),
            Batches(np.zeros((1, 4), np.int32), np.zeros((1, 4), np.float32), 4.0),
            1.0,
            np.arange(1, len(moving) + 1, dtype=np.float32)[None],
            moving,
        )[0]
        found = before - np.asarray(flatten(once, layout))
        np.testing.assert_allclose(found[moving], np.arange(1, len(moving) + 1) / 4.0, atol=1e-4)


def test_masked_steps_without_protection_are_gradient_descent_on_the_mask():
    x, y = rows(40)
    params, net = made(MLP), network(MLP)
    moving, mask = some(params, 0.3)
    batches = shuffled(40, 40, 3, SecretStream())
    found = train_round(MLP, LocalSettings(rate=0.3), params, {}, (x, y), batches, moving=moving)[0]
    for _ in range(3):
        grads = jax.grad(lambda p: jnp.mean(row_loss(net.apply(p, {}, x), y)))(params)
        params = {name: value - 0.3 * mask[name] * grads[name] for name, value in params.items()}
    for name, value in params.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5)


@pytest.mark.parametrize("train", ["masked", "all"])
def test_a_client_trains_what_travels_and_its_own_layers_whole(train):
    spec = ModelSpec("mlp", (6, 4), "tanh", keep_local=("Dense_2",))
    settings = Settings(1, LocalSettings(batch=10), Privacy("record", clip=0.5), compress=Compress(0.2, train=train))
    client = make_client(spec, settings, rows(40), (5,), np.random.default_rng(0))
    vector, tally = common(client), Tally()
    mask = np.arange(0, vector.size, 5)
    done, update, _ = learn(client, vector, 2.0, tally, mask)
    own = sum(value.size for name, value in client.params.items() if name.startswith("Dense_2"))
    assert not np.array_equal(done.params["Dense_2/kernel"], client.params["Dense_2/kernel"])
    off = np.setdiff1d(np.arange(vector.size), mask)
    if train == "masked":
        assert tally.values == 4 * (len(mask) + own), "noise for what moves and nothing else"
        assert (update[off] == 0).all()
    else:
        assert tally.values == 4 * (vector.size + own)
        assert (update[off] != 0).any()
    assert tally.drew(1.0, 1)
