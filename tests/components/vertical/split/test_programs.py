"""What the SPU opens is what plain JAX says it should be: clipped sums plus noise, and nothing besides."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veilflow.components.vertical.split import bottom, top
from veilflow.components.vertical.split.model import Dense
from veilflow.components.vertical.split.noise import gaussian
from veilflow.components.vertical.split.programs import Holder, TopOptimiser, release_program, update_program

ROWS, FEATURES = 48, (5, 7)


class Case:
    """Two holders with random rows; the oracle is jax.grad row by row."""

    def __init__(self, layers, activation, spec, clip, scale=2.0) -> None:
        rng = np.random.default_rng(7)
        pairs = zip("ab", "ba", FEATURES, layers, strict=True)
        self.holders = [Holder(me, n, Dense(sizes, activation), (other,)) for me, other, n, sizes in pairs]
        self.spec, self.clip = spec, clip
        self.params = [bottom.init_dense(h.features, h.bottom, rng) for h in self.holders]
        self.x = [(rng.normal(size=(ROWS, h.features)) * scale).astype(np.float32) for h in self.holders]
        self.y = (rng.random(ROWS) < 0.5).astype(np.float32)
        self.width = sum(h.width for h in self.holders)
        self.top = top.init_top(self.width, spec, rng)

    def feeds(self, noise=0.0):
        found = {"top": self.top, "label": self.y}
        for h, params, x in zip(self.holders, self.params, self.x, strict=True):
            traced = bottom.trace_dense(h.bottom, self.clip)(params, x)
            assert {name: value.shape for name, value in traced.items()} == bottom.feed_shapes(
                h.features, h.bottom, ROWS
            )
            found |= {f"{h.party}/{name}": np.asarray(value) for name, value in traced.items()}
            found[f"{h.party}/noise/{h.noise_from[0]}"] = gaussian(h.gradient_length(), noise)
        return found

    def loss(self, params, flat, x, y):
        parts = [bottom.apply_dense(p, h.bottom, row[None]) for p, h, row in zip(params, self.holders, x, strict=True)]
        joined = jnp.concatenate(parts, axis=1)
        z = top.forward(top.unpack(flat, self.width, self.spec), self.spec.activation, joined).logits[0]
        return jax.nn.softplus(z) - y * z

    def gradients(self):
        return jax.vmap(jax.grad(self.loss, (0, 1)), (None, None, 0, 0))(self.params, self.top, self.x, self.y)

    def clipped_sums(self):
        sums, outside = {}, 0
        for h, layers in zip(self.holders, self.gradients()[0], strict=True):
            rows = [
                np.concatenate([np.asarray(each["kernel"]), np.asarray(each["bias"])[:, None]], axis=1)
                for each in layers
            ]
            flat = np.concatenate([each.reshape(ROWS, -1) for each in rows], axis=1)
            norms = np.linalg.norm(flat, axis=1)
            outside += int((norms > self.clip).sum())
            sums[h.party] = (flat * np.minimum(1, self.clip / np.maximum(norms, 1e-12))[:, None]).sum(axis=0)
        return sums, outside


def run(on_spu, program, values):
    outputs = on_spu(program.fn)(*[values[name] for name in program.inputs])
    return dict(zip(program.outputs, outputs, strict=True))


CASES = [
    pytest.param(Case([(6,), (4,)], "relu", Dense((5,), "relu"), 1.0), id="relu"),
    pytest.param(Case([(6, 3), (4,)], "tanh", Dense((5, 4), "relu"), 0.3), id="deeper, smooth bottoms"),
    pytest.param(Case([(8,), (4, 4, 4)], "relu", Dense((), "relu"), 1.0), id="logistic top"),
    pytest.param(Case([(4,), (4,)], "identity", Dense((6,), "quadratic"), 2.0, scale=0.5), id="quadratic top"),
]


@pytest.mark.parametrize("case", CASES)
def test_opened_gradients_are_the_clipped_sums_of_plain_jax(on_spu, case: Case) -> None:
    found = run(on_spu, release_program(case.holders, case.spec), case.feeds())
    expected, outside = case.clipped_sums()
    assert outside, "no row is clipped: the case says nothing about clipping"
    for party, total in expected.items():
        error = np.linalg.norm(found[f"{party}/gradient"] - total)
        assert error < 0.05 * np.linalg.norm(total) + 0.02 * case.clip


def test_without_clipping_the_sums_are_exact(on_spu) -> None:
    case = Case([(6,), (4,)], "relu", Dense((5,), "relu"), 50.0)
    found = run(on_spu, release_program(case.holders, case.spec), case.feeds())
    expected, outside = case.clipped_sums()
    assert outside == 0
    for party, total in expected.items():
        np.testing.assert_allclose(found[f"{party}/gradient"], total, atol=0.05, rtol=0.01)


def test_one_row_cannot_move_a_gradient_further_than_the_bound(on_spu) -> None:
    case = Case([(6,), (4,)], "relu", Dense((5,), "relu"), 0.5)
    program, feeds = release_program(case.holders, case.spec), case.feeds()
    before = run(on_spu, program, feeds)
    # A row that says nothing: all its inputs and masks are 0.
    without = {
        name: np.where(np.arange(ROWS).reshape(-1, *[1] * (value.ndim - 1)) == 3, 0, value).astype(value.dtype)
        if name.split("/")[-1].startswith(("input", "slope", "norm"))
        else value
        for name, value in feeds.items()
    }
    after = run(on_spu, program, without)
    for h in case.holders:
        moved = np.linalg.norm(before[f"{h.party}/gradient"] - after[f"{h.party}/gradient"])
        assert moved <= case.clip * 1.004 + 0.02


def test_noise_of_the_right_size_arrives_and_of_a_wrong_size_is_noticed(on_spu) -> None:
    case = Case([(30,), (30,)], "relu", Dense((5,), "relu"), 1.0)
    program = release_program(case.holders, case.spec)
    plain = run(on_spu, program, case.feeds())

    def spread(deviation):
        noisy = run(on_spu, program, case.feeds(deviation))
        return np.concatenate([noisy[f"{h.party}/gradient"] - plain[f"{h.party}/gradient"] for h in case.holders])

    right, wrong = spread(0.7), spread(0.35)
    count = right.size  # 420 draws: the standard error of a variance is 7 %
    low, high = 0.49 * (1 - 4.5 * np.sqrt(2 / count)), 0.49 * (1 + 4.5 * np.sqrt(2 / count))
    assert low < right.var() < high
    assert not low < wrong.var() < high, "half the noise would pass this test"


def test_the_top_model_takes_the_step_of_plain_jax(on_spu) -> None:
    case = Case([(6,), (4,)], "relu", Dense((5,), "relu"), 1.0)
    optimiser = TopOptimiser("momentum", 0.1)
    kept = case.feeds() | run(on_spu, release_program(case.holders, case.spec), case.feeds())
    velocity = np.random.default_rng(1).normal(0, 0.01, case.top.shape).astype(np.float32)
    values = kept | {"velocity": velocity, "loss": np.array([2.0], np.float32)}
    found = run(on_spu, update_program(case.spec, ROWS, optimiser), values)
    gradient = np.asarray(case.gradients()[1]).mean(axis=0)
    losses = jax.vmap(case.loss, (None, None, 0, 0))(case.params, case.top, case.x, case.y)
    np.testing.assert_allclose(found["velocity"], 0.9 * velocity + gradient, atol=2e-3)
    np.testing.assert_allclose(found["top"], case.top - 0.1 * (0.9 * velocity + gradient), atol=2e-4)
    np.testing.assert_allclose(found["loss"], 2.0 + float(losses.sum()), rtol=2e-3)


def test_adam_inside_the_spu_moves_as_far_as_adam(on_spu) -> None:
    case = Case([(6,), (4,)], "relu", Dense((5,), "relu"), 1.0)
    kept = case.feeds() | run(on_spu, release_program(case.holders, case.spec), case.feeds())
    zeros = np.zeros_like(case.top)
    values = kept | {"moment1": zeros, "moment2": zeros, "loss": np.zeros(1, np.float32)}
    found = run(on_spu, update_program(case.spec, ROWS, TopOptimiser("adam", 0.01)), values)
    gradient = np.asarray(case.gradients()[1]).mean(axis=0)
    large = np.abs(gradient) > 0.02
    first, second = 0.1 * gradient, 0.01 * gradient**2
    expected = -0.01 * first / np.sqrt(second + 1e-3 / 2**16)
    np.testing.assert_allclose((found["top"] - case.top)[large], expected[large], rtol=0.1, atol=2e-4)


def test_only_gradients_and_what_stays_inside_come_out_of_a_step() -> None:
    case = CASES[0].values[0]
    outputs = release_program(case.holders, case.spec).outputs
    assert [name for name in outputs if not name.startswith("keep/")] == ["a/gradient", "b/gradient"]
    assert release_program(case.holders, case.spec).inputs[0] == "top"
