"""A client's round against plain JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veilflow.components.horizontal.fedavg import server
from veilflow.components.horizontal.fedavg.batches import Batches, poisson, shuffled, steps_per_round
from veilflow.components.horizontal.fedavg.client import common, learn, make_client
from veilflow.components.horizontal.fedavg.layout import flatten, layout_of, unflatten
from veilflow.components.horizontal.fedavg.local import train_round
from veilflow.components.horizontal.fedavg.networks import network, row_loss
from veilflow.components.horizontal.fedavg.randomness import SecretStream
from veilflow.components.horizontal.fedavg.settings import LocalSettings, ModelSpec, Privacy, Server, Settings
from veilflow.components.training.tally import Tally

MLP = ModelSpec("mlp", (6, 4), "tanh")


def rows(count: int = 40, features: int = 5, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, features)).astype(np.float32)
    return x, (x[:, 0] + 0.3 * rng.normal(size=count) > 0).astype(np.float32)


def made(spec: ModelSpec, shape: tuple[int, ...] = (5,), seed: int = 0):
    return network(spec).init(shape, np.random.default_rng(seed))


def whole(count: int) -> Batches:
    return Batches(np.arange(count, dtype=np.int32)[None], np.ones((1, count), np.float32), float(count))


def test_one_client_with_full_batches_is_centralised_gradient_descent_exactly():
    x, y = rows()
    params, _ = made(MLP)
    layout, net = layout_of(params), network(MLP)
    state = server.start(np.asarray(flatten(params, layout)))

    def loss(p):
        return jnp.sum(row_loss(net.apply(p, {}, x), y)) / len(y)

    descent = jax.jit(
        lambda p: {k: v - np.float32(0.3) * g for (k, v), g in zip(p.items(), jax.grad(loss)(p).values(), strict=True)}
    )
    central = params
    for _ in range(7):
        central = descent(central)
        start = unflatten(state.params, layout)
        after, _, _, _ = train_round(MLP, LocalSettings(rate=0.3), start, {}, (x, y), whole(len(y)))
        update = np.asarray(flatten(after, layout)) - state.params
        state = server.step(state, update, Server())
    np.testing.assert_allclose(state.params, flatten(central, layout), atol=5e-7)


def test_fedprox_with_mu_zero_is_fedavg_and_with_large_mu_stays_near_the_start():
    x, y = rows()
    params, _ = made(MLP)
    layout = layout_of(params)
    batches = shuffled(len(y), 8, 3, SecretStream())
    found = {}
    for mu in (None, 0.0, 5.0):
        settings = LocalSettings(rate=0.1) if mu is None else LocalSettings(rate=0.1, proximal=mu)
        after, _, _, _ = train_round(MLP, settings, params, {}, (x, y), batches)
        found[mu] = np.asarray(flatten(after, layout)) - np.asarray(flatten(params, layout))
    np.testing.assert_array_equal(found[None], found[0.0])
    assert np.linalg.norm(found[5.0]) < 0.5 * np.linalg.norm(found[0.0])


def test_noise_reaches_every_parameter_and_sums_are_divided_by_the_expected_batch():
    x, y = rows(12)
    params, _ = made(MLP)
    layout = layout_of(params)
    nobody = Batches(np.zeros((1, 4), np.int32), np.zeros((1, 4), np.float32), 4.0)
    noise = np.arange(1, layout.size + 1, dtype=np.float32)[None]
    after, _, _, _ = train_round(MLP, LocalSettings(rate=1.0), params, {}, (x, y), nobody, 1.0, noise)
    moved = np.asarray(flatten(params, layout)) - np.asarray(flatten(after, layout))
    np.testing.assert_allclose(moved, noise[0] / 4.0, atol=1e-4)


def test_clipping_without_noise_is_refused():
    x, y = rows(12)
    with pytest.raises(ValueError, match="needs noise"):
        train_round(MLP, LocalSettings(), made(MLP)[0], {}, (x, y), whole(12), 1.0)


def test_every_row_is_seen_once_a_pass_whatever_the_batch():
    for count, batch in ((10, 4), (3, 8), (16, 8)):
        found = shuffled(count, batch, 2, SecretStream())
        assert len(found.index) == steps_per_round(count, min(batch, count), 2)
        seen = np.bincount(found.index.ravel(), found.weight.ravel(), minlength=count)
        np.testing.assert_array_equal(seen, 2)


def test_poisson_batches_take_each_row_with_the_accountants_probability():
    found = poisson(400, 100, 50, SecretStream())
    sizes = found.weight.sum(axis=1)
    assert found.expected == 100
    assert len(found.index) == 200
    assert abs(sizes.mean() - 100) < 6 * np.sqrt(75 / 200)
    assert 4 < sizes.std() < 14, "fixed-size batches are not what is accounted for"
    taken = np.bincount(found.index.ravel(), found.weight.ravel(), minlength=400)
    assert abs(taken.std() - np.sqrt(200 * 0.25 * 0.75)) < 1.5, "rows do not fall alike"
    assert abs(taken[0] - 50) < 6 * np.sqrt(37.5)
    assert abs(taken[-1] - 50) < 6 * np.sqrt(37.5)
    whole = poisson(40, 40, 2, SecretStream())
    assert (whole.weight.sum(axis=1) == 40).all()


def test_batch_norm_statistics_move_and_its_parameters_stay_at_the_client():
    spec = ModelSpec("mlp", (6,), norm="batch", keep_local=("Dense_1",))
    x, y = rows()
    params, stats = made(spec)
    layout = layout_of(params, spec.local_layers)
    assert layout.names == ("Dense_0/bias", "Dense_0/kernel")
    _, changed, _, _ = train_round(spec, LocalSettings(), params, stats, (x, y), shuffled(40, 8, 1, SecretStream()))
    assert any(not np.array_equal(changed[name], stats[name]) for name in stats)


def test_a_small_cnn_learns_which_half_is_bright():
    spec = ModelSpec("cnn", (4, 8))
    rng = np.random.default_rng(0)
    y = (rng.random(64) < 0.5).astype(np.float32)
    x = rng.normal(0, 0.1, (64, 28, 28)).astype(np.float32)
    x[:, :14] += y[:, None, None]
    params, stats = made(spec, (28, 28))
    losses = []
    for _ in range(3):
        batches = shuffled(64, 16, 3, SecretStream())
        params, stats, loss, _ = train_round(
            spec, LocalSettings(optimiser="adam", rate=0.01), params, stats, (x, y), batches
        )
        losses.append(loss)
    assert losses[-1] < min(0.2, 0.5 * losses[0])


@pytest.mark.parametrize("optimiser", ["fedavg", "fedadam", "fedyogi"])
def test_every_server_optimiser_goes_where_the_updates_point(optimiser):
    goal, state = np.array([1.0, -2.0, 0.5], np.float32), server.start(np.zeros(3, np.float32))
    settings = Server(optimiser, 1.0 if optimiser == "fedavg" else 0.1)
    for _ in range(200):
        state = server.step(state, 0.5 * (goal - state.params), settings)
    np.testing.assert_allclose(state.params, goal, atol=0.05)


def test_fedadam_is_the_papers_recursion():
    state = server.start(np.zeros(2, np.float32))
    update = np.array([0.1, -0.2], np.float32)
    found = server.step(state, update, Server("fedadam", 0.5))
    first, second = 0.1 * update, 0.99 * 1e-6 + 0.01 * update**2
    np.testing.assert_allclose(found.params, 0.5 * first / (np.sqrt(second) + 1e-3), rtol=1e-5)


def test_secret_normals_have_the_right_scale_and_tails_and_never_repeat():
    one, other = SecretStream().normal((200_000,), 2.0), SecretStream().normal((200_000,), 2.0)
    assert abs(one.std() / 2 - 1) < 0.02
    assert abs(one.mean()) < 0.03
    assert abs((np.abs(one) > 4).mean() - 0.0455) < 0.004
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.02
    assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < 0.02


def test_noise_covers_layers_that_stay_at_the_client_too():
    """They steer the gradients of those that leave: un-noised, they would carry rows into them."""
    spec = ModelSpec("mlp", (6, 4), "tanh", keep_local=("Dense_2",))
    settings = Settings(1, LocalSettings(batch=10), Privacy("record", clip=0.5))
    client = make_client(spec, settings, rows(40), (5,), np.random.default_rng(0))
    tally = Tally()
    done, update, facts = learn(client, common(client), 2.0, tally)
    assert tally.values == 4 * layout_of(client.params).size
    assert tally.drew(1.0, 1)
    assert update.shape == (client.layout.size,) != (layout_of(client.params).size,)
    assert "loss" not in facts, "no loss on private rows leaves under DP"
    assert not np.array_equal(done.params["Dense_2/kernel"], client.params["Dense_2/kernel"])
