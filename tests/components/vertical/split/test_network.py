"""A user's own Flax module as a bottom."""

import sys
from types import ModuleType

import flax.linen as nn
import jax
import numpy as np
import pytest

from veilflow.components.errors import ComponentError
from veilflow.components.training.user_modules import Module
from veilflow.components.vertical.split.model import Dense
from veilflow.components.vertical.split.network import network


class Mixer(nn.Module):
    width: int = 3

    @nn.compact
    def __call__(self, x):
        return nn.tanh(nn.Dense(self.width)(nn.relu(nn.Dense(7)(x))))


class Remembering(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.BatchNorm(use_running_average=False)(x)


class Flat(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(x)[:, 0]


@pytest.fixture(autouse=True)
def users_package(monkeypatch):
    package = ModuleType("users_models")
    package.Mixer, package.Remembering, package.Flat, package.number = Mixer, Remembering, Flat, 4
    monkeypatch.setitem(sys.modules, "users_models", package)
    network.cache_clear()


def test_a_module_maps_features_to_embeddings_and_survives_being_stored() -> None:
    net = network(Module("users_models:Mixer", '{"width": 5}'))
    params = net.init(4, np.random.default_rng(0))
    x = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
    expected = net.apply(params, x)
    assert expected.shape == (6, 5)
    stored = net.pack(params)
    assert all(isinstance(value, np.ndarray) for value in stored.values())
    np.testing.assert_array_equal(net.apply(net.unpack(stored), x), expected)


def test_two_starts_differ() -> None:
    net = network(Dense((4,), "relu"))
    one, two = (net.init(3, np.random.default_rng(seed)) for seed in (0, 1))
    assert not np.array_equal(jax.tree_util.tree_leaves(one)[-1], jax.tree_util.tree_leaves(two)[-1])


@pytest.mark.parametrize(
    "spec, message",
    [
        (Module("users_models:Nobody"), "'users_models:Nobody' cannot be imported"),
        (Module("no_such_package:Net"), "'no_such_package:Net' cannot be imported"),
        (Module("users_models:number"), "is not a flax.linen module"),
        (Module("users_models:Mixer", '{"depth": 3}'), "does not take the arguments it was given"),
        (Module("users_models:Remembering"), "keeps batch_stats besides its parameters"),
        (Module("users_models:Flat"), r"maps 2 rows to shape \(2,\)"),
    ],
)
def test_modules_that_do_not_fit_are_refused(spec: Module, message: str) -> None:
    with pytest.raises(ComponentError, match=message):
        network(spec).init(4, np.random.default_rng(0))
