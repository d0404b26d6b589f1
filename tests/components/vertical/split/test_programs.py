"""What the SPU opens is what plain JAX says it should be: clipped sums plus noise, and nothing besides."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veilflow.components.vertical.split import bottom, top
from veilflow.components.vertical.split.account import SLACK
from veilflow.components.vertical.split.arithmetic import PLAIN
from veilflow.components.vertical.split.model import Dense
from veilflow.components.vertical.split.noise import gaussian
from veilflow.components.vertical.split.programs import (
    Holder,
    TopOptimiser,
    figure_program,
    judge_program,
    release_program,
    released_length,
    update_program,
)

ROWS, FEATURES = 48, (5, 7)
NAMES = ("a", "b")


class Case:
    """Two holders with random rows; the oracle is jax.grad row by row."""

    def __init__(self, layers, activation, spec, clip, scale=2.0) -> None:
        rng = np.random.default_rng(7)
        self.holders = [
            Holder(me, n, Dense(sizes, activation)) for me, n, sizes in zip(NAMES, FEATURES, layers, strict=True)
        ]
        self.spec, self.clip = spec, clip
        self.params = [bottom.init_dense(h.features, h.bottom, rng) for h in self.holders]
        self.x = [(rng.normal(size=(ROWS, h.features)) * scale).astype(np.float32) for h in self.holders]
        self.y = (rng.random(ROWS) < 0.5).astype(np.float32)
        self.width = sum(h.width for h in self.holders)
        self.top = top.init_top(self.width, spec, rng)
        self.length = released_length(self.holders, spec)
        self.program = release_program(self.holders, spec, clip, NAMES)

    def feeds(self, noise=0.0):
        found = {"top": self.top, "label": self.y}
        for h, params, x in zip(self.holders, self.params, self.x, strict=True):
            traced = bottom.trace_dense(h.bottom)(params, x)
            assert {name: value.shape for name, value in traced.items()} == bottom.feed_shapes(
                h.features, h.bottom, ROWS
            )
            found |= {f"{h.party}/{name}": np.asarray(value) for name, value in traced.items()}
        return found | {f"noise/{name}": gaussian(self.length, noise) for name in NAMES}

    def logit(self, params, flat, x):
        parts = [bottom.apply_dense(p, h.bottom, row[None]) for p, h, row in zip(params, self.holders, x, strict=True)]
        joined = jnp.concatenate(parts, axis=1)
        return top.forward(top.unpack(flat, self.width, self.spec), self.spec.activation, joined).logits[0]

    def jacobians(self):
        """Each row's logit and its derivative by all parameters, in the order of the released vector."""

        def one(x):
            value, (bottoms, flat) = jax.value_and_grad(self.logit, (0, 1))(self.params, self.top, x)
            layers = [jnp.concatenate([e["kernel"], e["bias"][None]]).reshape(-1) for each in bottoms for e in each]
            return value, jnp.concatenate([*layers, flat])

        return jax.vmap(one)(self.x)

    def clipped_sum(self):
        logits, rows = (np.asarray(each) for each in self.jacobians())
        norms = np.linalg.norm(rows, axis=1)
        weight = (1 / (1 + np.exp(-logits)) - self.y) * np.minimum(1, self.clip / norms)
        return weight @ rows, int((norms > self.clip).sum())


def released(case, found):
    return np.concatenate([*(found[f"{h.party}/gradient"] for h in case.holders), found["keep/top"]])


def run(on_spu, program, values):
    outputs = on_spu(program.fn)(*[values[name] for name in program.inputs])
    return dict(zip(program.outputs, outputs, strict=True))


CASES = [
    pytest.param(Case([(6,), (4,)], "relu", Dense((5,), "relu"), 2.0), id="relu"),
    pytest.param(Case([(6, 3), (4,)], "tanh", Dense((5, 4), "relu"), 0.5), id="deeper, smooth bottoms"),
    pytest.param(Case([(8,), (4, 4, 4)], "relu", Dense((), "relu"), 3.0), id="logistic top"),
    pytest.param(Case([(4,), (4,)], "identity", Dense((6,), "quadratic"), 2.0, scale=0.5), id="quadratic top"),
]


@pytest.mark.parametrize("case", CASES)
def test_what_is_released_is_the_clipped_sum_of_plain_jax(on_spu, case: Case) -> None:
    expected, outside = case.clipped_sum()
    assert outside, "no row is clipped: the case says nothing about clipping"
    for arithmetic, wrong in ((None, 0.05), (PLAIN, 0.015)):
        if arithmetic is None:
            found = run(on_spu, case.program, case.feeds())
        else:
            plain = release_program(case.holders, case.spec, case.clip, NAMES, arithmetic)
            found = run(jax.jit, plain, case.feeds())
        error = np.linalg.norm(released(case, found) - expected)
        assert error < wrong * np.linalg.norm(expected) + wrong * case.clip


def test_without_clipping_the_sums_are_exact(on_spu) -> None:
    case = Case([(6,), (4,)], "relu", Dense((5,), "relu"), 10.0, scale=0.5)
    expected, outside = case.clipped_sum()
    assert outside == 0
    np.testing.assert_allclose(released(case, run(on_spu, case.program, case.feeds())), expected, atol=0.05, rtol=0.01)


def without_row(feeds):
    """Row 3 says nothing: its inputs and slopes are 0."""
    nothing = dict(feeds)
    for name, value in feeds.items():
        if name.split("/")[-1].startswith(("input", "slope")):
            nothing[name] = value.copy()
            nothing[name][3] = 0
    return nothing


def flipped(feeds):
    return feeds | {"label": np.where(np.arange(ROWS) == 3, 1 - feeds["label"], feeds["label"])}


def distance(on_spu, case, one, other):
    first, second = (released(case, run(on_spu, case.program, feeds)) for feeds in (one, other))
    return np.linalg.norm(first - second)


ROUNDING = 0.01
"""Truncations move each of a few hundred entries by up to 2**-18."""


def test_neither_a_row_nor_its_label_moves_what_is_released_further_than_the_clip(on_spu) -> None:
    case = Case([(6,), (4,)], "relu", Dense((5,), "relu"), 0.5)
    feeds = case.feeds()
    assert distance(on_spu, case, feeds, without_row(feeds)) <= case.clip * SLACK + ROUNDING
    label = distance(on_spu, case, feeds, flipped(feeds))
    assert 0.9 * case.clip <= label <= case.clip * SLACK + ROUNDING, "a label moves by the whole J"


@pytest.mark.parametrize("value", [2.0**14, -(2.0**20), 2.0**40])
@pytest.mark.parametrize("feed", ["b/input1", "b/slope1", "b/embedding", "label"])
def test_no_number_that_an_owner_feeds_gets_past_the_clip(on_spu, feed: str, value: float) -> None:
    case = CASES[0].values[0]
    feeds = case.feeds()
    told = {**feeds, feed: feeds[feed].copy().astype(np.float32)}
    told[feed][3] = value  # 2**14 has a square that is 0 in the ring
    if feed in ("label", "b/input1"):
        assert distance(on_spu, case, told, without_row(told)) <= case.clip * SLACK + ROUNDING
    else:  # truncations of what does not fit are random, and differ from run to run: each is within the clip
        assert distance(on_spu, case, told, flipped(told)) <= 2 * case.clip * SLACK + ROUNDING


def test_every_holders_noise_is_in_every_entry_and_of_a_wrong_size_is_noticed(on_spu) -> None:
    case = Case([(30,), (30,)], "relu", Dense((5,), "relu"), 1.0)
    plain = case.feeds()
    nothing = released(case, run(on_spu, case.program, plain))

    def spread(party, deviation):
        noisy = plain | {f"noise/{party}": gaussian(case.length, deviation)}
        return released(case, run(on_spu, case.program, noisy)) - nothing

    count = case.length  # 731 draws: the standard error of a variance is 5 %
    low, high = 0.49 * (1 - 4.5 * np.sqrt(2 / count)), 0.49 * (1 + 4.5 * np.sqrt(2 / count))
    for party in NAMES:
        right, wrong = spread(party, 0.7), spread(party, 0.35)
        assert low < right.var() < high
        assert not low < wrong.var() < high, "half the noise would pass this test"
        assert (np.abs(right) > 1e-3).mean() > 0.98, "an entry without noise"


def test_the_top_model_takes_the_step_of_plain_jax(on_spu) -> None:
    case = Case([(6,), (4,)], "relu", Dense((5,), "relu"), 2.0)
    kept = case.feeds() | run(on_spu, case.program, case.feeds())
    velocity = np.random.default_rng(1).normal(0, 0.01, case.top.shape).astype(np.float32)
    values = kept | {"velocity": velocity, "trained": np.array([2.0], np.float32)}
    found = run(on_spu, update_program(ROWS, TopOptimiser("momentum", 0.1)), values)
    gradient = case.clipped_sum()[0][-case.top.size :] / ROWS
    logits = np.asarray(case.jacobians()[0])
    squares = ((1 / (1 + np.exp(-logits)) - case.y) ** 2).sum()
    np.testing.assert_allclose(found["velocity"], 0.9 * velocity + gradient, atol=5e-3)
    np.testing.assert_allclose(found["top"], case.top - 0.1 * (0.9 * velocity + gradient), atol=5e-4)
    np.testing.assert_allclose(found["trained"], [2.0 + squares], rtol=5e-3)


def test_adam_inside_the_spu_moves_as_far_as_adam(on_spu) -> None:
    case = Case([(6,), (4,)], "relu", Dense((5,), "relu"), 2.0)
    kept = case.feeds() | run(on_spu, case.program, case.feeds())
    zeros = np.zeros_like(case.top)
    values = kept | {"moment1": zeros, "moment2": zeros, "trained": np.zeros(1, np.float32)}
    found = run(on_spu, update_program(ROWS, TopOptimiser("adam", 0.01)), values)
    gradient = case.clipped_sum()[0][-case.top.size :] / ROWS
    large = np.abs(gradient) > 0.02
    first, second = 0.1 * gradient, 0.01 * gradient**2
    expected = -0.01 * first / np.sqrt(second + 1e-3 / 2**16)
    assert large.sum() > 10
    np.testing.assert_allclose((found["top"] - case.top)[large], expected[large], rtol=0.1, atol=2e-4)


def test_a_figure_is_the_sum_of_squared_errors_of_rows_that_count_plus_noise(on_spu) -> None:
    case = Case([(6,), (4,)], "relu", Dense((5,), "relu"), 2.0)
    counts = (np.arange(ROWS) < 40).astype(np.float32)
    values = case.feeds() | {"judged": np.array([1.5], np.float32), "counts": counts}
    judged = run(on_spu, judge_program(NAMES, case.spec), values)
    squares = (1 / (1 + np.exp(-np.asarray(case.jacobians()[0]))) - case.y) ** 2
    np.testing.assert_allclose(judged["judged"], [1.5 + squares[:40].sum()], rtol=5e-3)
    noise = {f"figure noise/{name}": gaussian(1, 3.0) for name in NAMES}
    told = run(on_spu, figure_program("judged", NAMES), judged | noise)["figure/judged"]
    added = sum(each[0] for each in noise.values()) / 2**18
    np.testing.assert_allclose(told, judged["judged"] + added, atol=1e-3)


def test_only_gradients_and_what_stays_inside_come_out_of_a_step() -> None:
    case = CASES[0].values[0]
    outputs = case.program.outputs
    assert [name for name in outputs if not name.startswith("keep/")] == ["a/gradient", "b/gradient"]
    assert case.program.inputs[0] == "top"
