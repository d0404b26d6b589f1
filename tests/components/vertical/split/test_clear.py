"""`release: per_example`: learns like one network, and gives labels away as its claim says."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.datasets import load_breast_cancer

from veilflow.components.vertical.claims import LABEL_LEAK_AUC
from veilflow.components.vertical.split import clear, top
from veilflow.components.vertical.split.bottom import apply_dense
from veilflow.components.vertical.split.model import Dense
from veilflow.components.vertical.split.owner import embed, make_owner, owner_part, restore_owner
from veilflow.components.vertical.split.settings import Optimiser

BOTTOM, TOP = Dense((6,), "relu"), Dense((4,), "relu")
ADAM = Optimiser("adam", 0.01)


def pair(x_own, x_other, y, own_bottom=BOTTOM, top_spec=TOP, optimiser=ADAM):
    rng = np.random.default_rng(3)
    bottom = own_bottom or BOTTOM
    owner = make_owner(x_own, y, own_bottom, optimiser, rng)
    other = make_owner(x_other, None, bottom, optimiser, rng)
    width = bottom.layers[-1] * (2 if own_bottom else 1)
    return clear.make_label_holder(owner, top_spec, width, optimiser, rng), other


def step(holder, other, rows, position=1):
    sent = embed(other.bottom, other.params, other.x[rows])
    holder, (gradient,) = clear.learn(holder, rows, position, [sent])
    return holder, clear.follow(other, rows, gradient), gradient


def data(rows=40):
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(rows, 3)).astype(np.float32) for _ in range(2)]
    return *x, (rng.random(rows) < 0.5).astype(np.float32)


def test_three_steps_are_those_of_one_joint_network() -> None:
    x_own, x_other, y = data()
    holder, other = pair(x_own, x_other, y)
    joint = {"own": holder.owner.params, "other": other.params, "top": holder.flat}
    rule = optax.adam(0.01)
    memory = rule.init(joint)

    def loss(params, rows):
        parts = [apply_dense(params["other"], BOTTOM, x_other[rows]), apply_dense(params["own"], BOTTOM, x_own[rows])]
        z = top.forward(top.unpack(params["top"], 12, TOP), "relu", jnp.concatenate(parts, 1)).logits
        return jnp.mean(jax.nn.softplus(z) - y[rows] * z)

    total = 0.0
    for start in (0, 10, 20):
        rows = np.arange(start, start + 10)
        value, gradient = jax.value_and_grad(loss)(joint, rows)
        total += float(value) * 10
        changes, memory = rule.update(gradient, memory, joint)
        joint = optax.apply_updates(joint, changes)
        holder, other, _ = step(holder, other, rows)
    found = {"own": holder.owner.params, "other": other.params, "top": holder.flat}
    jax.tree_util.tree_map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5), found, joint)
    np.testing.assert_allclose(float(holder.loss), total, rtol=1e-4)


def test_a_label_holder_without_features_learns_too() -> None:
    _, x_other, y = data()
    holder, other = pair(np.zeros((40, 0), np.float32), x_other, y, own_bottom=None)
    before = holder.flat
    holder, other, gradient = step(holder, other, np.arange(16), position=-1)
    assert gradient.shape == (16, 6)
    assert (np.asarray(holder.flat) != np.asarray(before)).any()


def test_what_is_stored_goes_on_as_if_nothing_had_happened() -> None:
    x_own, x_other, y = data()
    holder, other = pair(x_own, x_other, y)
    holder, other, _ = step(holder, other, np.arange(20))
    stored = owner_part(holder.owner, True), clear.top_part(holder, True), owner_part(other, True)
    fresh_holder, fresh_other = pair(x_own, x_other, y)
    again = clear.restore_holder(fresh_holder, stored[0], stored[1]), restore_owner(fresh_other, stored[2])
    for each in ((holder, other), again):
        each_holder, _, gradient = step(*each, np.arange(20, 40))
        if each[0] is holder:
            expected = np.asarray(each_holder.flat), gradient
    np.testing.assert_array_equal(np.asarray(each_holder.flat), expected[0])
    np.testing.assert_array_equal(gradient, expected[1])


def test_gradients_by_row_give_the_labels_away_as_claimed() -> None:
    cancer = load_breast_cancer()
    x = ((cancer.data - cancer.data.mean(0)) / cancer.data.std(0)).astype(np.float32)
    y = (cancer.target == 0).astype(np.float32)
    holder, other = pair(x[:, :15], x[:, 15:], y, Dense((16,), "relu"), Dense((16,), "relu"))  # the defaults
    rng = np.random.default_rng(0)
    leaks = []
    for _ in range(20):
        rows = rng.permutation(len(y))[:128]
        holder, other, gradient = step(holder, other, rows)
        leaks.append(clear.label_leak(gradient, y[rows], int(np.argmax(y[rows]))))
    assert f"{np.mean(leaks):.2f}" == LABEL_LEAK_AUC
    assert min(leaks) > 0.98


def test_the_attack_says_nothing_where_there_is_nothing() -> None:
    rng = np.random.default_rng(0)
    leaks = [clear.label_leak(rng.normal(size=(500, 8)), (rng.random(500) < 0.5).astype(float), 0) for _ in range(20)]
    assert abs(np.mean(leaks) - 0.5) < 0.05


@pytest.mark.parametrize("name", ["adam", "sgd", "momentum"])
def test_every_optimiser_lowers_the_loss(name: str) -> None:
    x_own, x_other, _ = data(200)
    y = (x_own[:, 0] + x_other[:, 0] > 0).astype(np.float32)
    rng = np.random.default_rng(1)
    optimiser = Optimiser(name, 0.2 if name == "sgd" else 0.05)
    owner, other = make_owner(x_own, y, BOTTOM, optimiser, rng), make_owner(x_other, None, BOTTOM, optimiser, rng)
    holder = clear.make_label_holder(owner, TOP, 12, optimiser, rng)
    losses = []
    for _ in range(60):
        holder, other, _ = step(clear.new_epoch(holder), other, np.arange(200))
        losses.append(float(holder.loss))
    assert losses[-1] < 0.7 * losses[0]
