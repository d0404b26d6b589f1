"""Kernels of secret training against plain JAX, on the deployed ring."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.metrics import roc_auc_score

from veilflow.components.errors import ComponentError
from veilflow.components.training.user_modules import Module
from veilflow.components.vertical.secret import programs
from veilflow.components.vertical.secret.network import make_network
from veilflow.components.vertical.secret.optimiser import Rule, clip_by_norm
from veilflow.components.vertical.split.model import Dense

OnSpu = Callable[[Callable[..., Any]], Callable[..., Any]]
ROWS, FEATURES = 64, 5
USERS_MODULE = Module(f"{__name__}:Small", '{"width": 4}')


def rows(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, FEATURES)).astype(np.float32)
    return x, (x[:, 0] + rng.normal(0, 0.5, ROWS) > 0).astype(np.float32)


def plain_logits(spec: Dense, flat: Any, x: Any) -> Any:
    """Written out once more, so that the network's own code is no part of the oracle."""
    at, sizes = 0, [FEATURES, *spec.layers, 1]
    act = {"relu": jax.nn.relu, "quadratic": lambda z: z * (z * 0.125 + 0.5) + 0.6931472, "identity": lambda z: z}
    for index, (n, m) in enumerate(itertools.pairwise(sizes)):
        x = x @ flat[at : at + n * m].reshape(n, m) + flat[at + n * m : at + (n + 1) * m]
        at += (n + 1) * m
        x = act[spec.activation](x) if index < len(spec.layers) else x
    return x[:, 0]


SPECS = [
    Dense((), "relu"),
    Dense((6,), "relu"),
    Dense((6, 4), "relu"),
    Dense((4, 3), "quadratic"),
    Dense((3,), "identity"),
]


@pytest.mark.parametrize("spec", SPECS[:3], ids=lambda spec: f"{spec.layers} {spec.activation}")
def test_untruncated_logits_are_the_logits_times_a_power_of_two(on_spu: OnSpu, spec: Dense) -> None:
    network, (x, _) = make_network(spec, FEATURES), rows()
    flat = np.random.default_rng(1).normal(0, 0.5, network.count()).astype(np.float32)
    found = on_spu(lambda flat, x: network.forward(flat, x, raw=True)[0])(flat, x)
    np.testing.assert_allclose(found / 2.0**network.raw_bits, plain_logits(spec, flat, x), atol=1e-3)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.layers} {spec.activation}")
def test_forward_and_gradient_equal_plain_jax(on_spu: OnSpu, spec: Dense) -> None:
    network, (x, y) = make_network(spec, FEATURES), rows()
    flat = np.random.default_rng(1).normal(0, 0.5, network.count()).astype(np.float32)

    def both(flat: Any, x: Any, y: Any) -> tuple[Any, Any]:
        logits, *kept = network.forward(flat, x)
        return logits, network.gradient(flat, x, kept, logits * 0.1 - y)

    logits, gradient = on_spu(both)(flat, x, y)
    np.testing.assert_allclose(logits, plain_logits(spec, flat, x), atol=1e-3)
    _, pull = jax.vjp(lambda f: plain_logits(spec, f, x), flat)
    np.testing.assert_allclose(gradient, pull(plain_logits(spec, flat, x) * 0.1 - y)[0], atol=1e-2)


def test_a_users_module_gives_the_same_gradient_as_the_layers_it_stands_for(on_spu: OnSpu) -> None:
    network, (x, y) = make_network(USERS_MODULE, FEATURES), rows()
    flat = network.init(np.random.default_rng(2))
    found = on_spu(lambda f, x, e: network.gradient(f, x, (), e))(flat, x, y)
    np.testing.assert_allclose(found, network.gradient(jnp.asarray(flat), x, (), jnp.asarray(y)), atol=1e-2)
    assert network.count() == FEATURES * 4 + 4 + 4 + 1


def test_a_module_with_several_outputs_is_refused() -> None:
    with pytest.raises(ComponentError, match="must return one logit per row"):
        make_network(Module(f"{__name__}:Small", '{"width": 4, "outputs": 2}'), FEATURES)


RULES = [
    Rule(kind, rate, clip) for kind, rate in (("sgd", 0.5), ("momentum", 0.2), ("adam", 0.05)) for clip in (0, 0.5)
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.kind} clip {rule.clip}")
def test_optimisers_follow_optax(on_spu: OnSpu, rule: Rule) -> None:
    plain = {
        "sgd": optax.sgd(rule.rate),
        "momentum": optax.sgd(rule.rate, momentum=0.9),
        "adam": optax.adam(rule.rate, eps=0.0, eps_root=rule.eps_root),
    }[rule.kind]
    rng, size = np.random.default_rng(3), 12
    flat = rng.normal(size=size).astype(np.float32)
    memory, wanted = plain.init(flat), jnp.asarray(flat)
    state = [np.zeros(size, np.float32) for _ in rule.state]
    run = on_spu(lambda f, total, state, publics: rule.step(f, total, 32, state, publics))
    for step in range(4):
        total = (rng.normal(size=size) * 32 * 10.0 ** -(step % 3)).astype(np.float32)
        mean = total / 32
        if rule.clip:
            mean = mean * min(1.0, rule.clip / np.linalg.norm(mean))
        change, memory = plain.update(mean, memory, wanted)
        wanted = optax.apply_updates(wanted, change)
        flat, state = run(flat, total, state, [rule.public_values(step)[name] for name in rule.publics])
    np.testing.assert_allclose(flat, wanted, atol=0.04 if rule.clip else 4e-3)


@pytest.mark.parametrize("norm", [0.0, 0.3, 0.99, 1.5, 20.0, 300.0])
def test_clipping_keeps_the_bound_and_little_more(on_spu: OnSpu, norm: float) -> None:
    direction = np.random.default_rng(4).normal(size=20)
    gradient = (direction / np.linalg.norm(direction) * norm).astype(np.float32)
    found = np.linalg.norm(on_spu(lambda g: clip_by_norm(g, 1.0))(gradient))
    assert min(norm, 1.0) * (0.95 if norm < 90 else 0.7) - 1e-3 <= found <= min(norm, 1.0) * 1.003 + 1e-3


def test_figures_equal_those_of_plain_scores(on_spu: OnSpu) -> None:
    rng, n, chunk = np.random.default_rng(5), 300, 128
    x = rng.normal(size=(n, FEATURES)).astype(np.float32)
    flat = rng.normal(size=FEATURES + 1).astype(np.float32)
    x[::20] *= 40  # some rows are far out
    logits = x @ flat[:-1] + flat[-1]
    y = (rng.logistic(size=n) < logits).astype(np.float32)
    network = make_network(Dense((), "relu"), FEATURES)
    evaluate = on_spu(programs.evaluate_program(network, chunk).fn)
    count = on_spu(programs.count_program(network, chunk).fn)
    sums, counts = np.zeros(4, np.float32), np.zeros((2, len(programs.GRID) + 1), np.float32)
    for start in range(0, n, chunk):
        at = np.minimum(np.arange(start, start + chunk), n - 1)
        valid = (np.arange(start, start + chunk) < n).astype(np.float32)
        (sums,) = evaluate(flat, sums, x[at], y[at], valid)
        (counts,) = count(flat, counts, x[at], y[at], valid)
    loss, accuracy, beyond = on_spu(programs.figures_program().fn)(sums)[0]
    assert beyond == pytest.approx(np.mean(np.abs(logits) > 56), abs=2e-3)
    assert loss == pytest.approx(np.mean(np.logaddexp(0, logits) - y * logits), abs=8e-3)
    assert accuracy == pytest.approx(np.mean((logits > 0) == y), abs=2e-3)
    auc = on_spu(programs.auc_program().fn)(counts)[0][0]
    assert auc == pytest.approx(roc_auc_score(y, logits), abs=3e-3)


def test_weights_of_masked_rows_are_zero_and_the_mean_is_one(on_spu: OnSpu) -> None:
    rng = np.random.default_rng(6)
    table = np.stack([rng.uniform(0.5, 2, 40), rng.random(40) < 0.3], axis=1).astype(np.float32)
    total, found = np.zeros(1, np.float32), []
    for part in (table[:30], table[30:]):
        weight, total = on_spu(programs.weight_program(2, 30).fn)(total, part)
        found.append(weight)
    weight = np.concatenate(found)
    (weight,) = on_spu(programs.normalise_program(40, 30).fn)(total, weight)
    wanted = table.prod(axis=1)
    np.testing.assert_allclose(weight, wanted / wanted.mean(), atol=2e-3)
    assert np.abs(weight[table[:, 1] == 0]).max() < 1e-4


from flax import linen as nn  # noqa: E402 - after the facts


class Small(nn.Module):
    """What a user might bring."""

    width: int
    outputs: int = 1

    @nn.compact
    def __call__(self, x: Any) -> Any:
        return nn.Dense(self.outputs)(nn.relu(nn.Dense(self.width)(x)))
