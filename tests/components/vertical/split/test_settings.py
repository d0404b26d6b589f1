import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from veilflow.components.errors import ComponentError
from veilflow.components.vertical.split.bottom import trace_dense
from veilflow.components.vertical.split.fixed_point import LIMIT
from veilflow.components.vertical.split.model import Dense
from veilflow.components.vertical.split.owner import embed, saturated
from veilflow.components.vertical.split.settings import EPSILON, FROM_EPSILON, TOO_LOUD, Optimiser, Settings

GOOD = Settings("summed", 5, 512, 32, 2.0, FROM_EPSILON, Optimiser("adam", 0.02), Optimiser("momentum", 0.05))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"batch": 16}, "batch_size is 16, below minimum_batch 32"),
        ({"noise": 1e-5}, "noise x clip is 2e-05, too little for numbers with 18 fraction bits"),
        ({"noise": -0.5}, "noise is -0.5; give it above 0, 0 for none, or -1 to follow epsilon"),
        ({"epsilon": 1e-3}, "too much for the ring"),
        ({"epsilon": 0.0}, "epsilon must be above 0"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ComponentError, match=message):
        replace(GOOD, **changes).check()


def test_good_settings_pass_and_no_noise_is_a_choice() -> None:
    GOOD.check()
    replace(GOOD, noise=0.0).check()


def test_noise_follows_epsilon_unless_it_is_given() -> None:
    assert GOOD.spent().label == pytest.approx(EPSILON, rel=1e-2)
    assert GOOD.spent().label <= EPSILON
    assert replace(GOOD, epochs=20).multiplier() > GOOD.multiplier(), "more epochs tell more"
    assert replace(GOOD, noise=1.5, epsilon=0.1).multiplier() == 1.5
    assert replace(GOOD, noise=0.0).spent().label == math.inf


def test_a_table_too_small_for_its_epsilon_is_refused_and_told_of_secret_train() -> None:
    with pytest.raises(ComponentError, match="Use vertical/secret_train") as caught:
        GOOD.check_size(100, 50, 2, 2000)
    assert "100 rows" in str(caught.value)
    assert GOOD.check_size(4000, 500, 2, 1000) < TOO_LOUD
    assert replace(GOOD, noise=20.0).check_size(100, 50, 2, 2000) > TOO_LOUD, "noise by hand is the user's choice"


def test_delta_must_be_below_one_over_the_rows() -> None:
    with pytest.raises(ComponentError, match=r"delta 1e-05 must be below 1 / 200000 rows.*set delta to 5e-07"):
        GOOD.check_size(200_000, 1000, 2, 1000)
    replace(GOOD, noise=0.0).check_size(200_000, 1000, 2, 1000)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_embeddings_that_are_no_numbers_are_refused(value: float) -> None:
    with pytest.raises(ComponentError, match="a bottom gives values that are no numbers"):
        saturated(np.array([[0.5, value]], np.float32))


def test_embeddings_saturate_alike_in_training_and_after_it() -> None:
    spec = Dense((2,), "identity")
    params = [{"kernel": jnp.asarray([[1.0, -1.0]]), "bias": jnp.zeros(2)}]
    x = np.array([[3.0], [1000.0]], np.float32)
    traced = trace_dense(spec)(params, x)
    np.testing.assert_array_equal(traced["embedding"], [[3, -3], [LIMIT, -LIMIT]])
    np.testing.assert_array_equal(traced["embedding"], saturated(embed(spec, params, x)))
    np.testing.assert_array_equal(traced["slope1"], [[1, 1], [0, 0]])
