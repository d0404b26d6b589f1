"""The light closed form against the accountant's, and against itself backwards."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from veilflow.components.privacy.accountant import gaussian_epsilon
from veilflow.components.privacy.gaussian_dp import attack_auc, delta_of, epsilon_of, mu_for

MU, DELTA = st.floats(0.01, 60), st.floats(1e-12, 1e-2)


@given(MU, DELTA)
def test_epsilon_is_the_accountants(mu: float, delta: float) -> None:
    assert epsilon_of(mu, delta) == pytest.approx(gaussian_epsilon([1 / mu], delta), rel=1e-6, abs=1e-6)


@given(st.floats(0.05, 500), DELTA)
def test_mu_costs_exactly_the_epsilon_it_is_for(epsilon: float, delta: float) -> None:
    assert epsilon_of(mu_for(epsilon, delta), delta) == pytest.approx(epsilon, rel=1e-6)


def test_no_noise_costs_everything_and_nothing_released_costs_nothing() -> None:
    assert math.isinf(epsilon_of(math.inf, 1e-5))
    assert epsilon_of(0.0, 1e-5) == 0.0
    assert delta_of(1.0, 4.378) == pytest.approx(1e-5, rel=1e-2)


def test_the_best_attack_on_a_gaussian_has_the_area_that_is_said() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(0.925, 1, 400_000), rng.normal(0, 1, 400_000)
    assert attack_auc(0.925) == pytest.approx((one > other).mean(), abs=3e-3)
    assert attack_auc(0.925) == pytest.approx(norm.cdf(0.925 / math.sqrt(2)), abs=1e-9)
