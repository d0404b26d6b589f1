"""T1: the accountant agrees with the closed form, and order changes nothing."""

import math
import time

import dp_accounting
import numpy as np
import pytest
from dp_accounting.pld import PLDAccountant
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.accountant import (
    Charge,
    epsilon,
    filter_order,
    gaussian_epsilon,
    multiplier_for,
    rounds_possible,
    within,
)

DELTA = 1e-5


@pytest.mark.parametrize("zs", [[4.0] * 100, [0.8 + 0.032 * t for t in range(100)], [10.0] * 7, [0.5], [60.0, 70.0]])
def test_full_participation_equals_the_closed_form_and_the_loss_distribution(zs: list[float]) -> None:
    ours = epsilon([Charge(z) for z in zs], DELTA)
    mu = math.sqrt(sum(1 / z**2 for z in zs))
    assert ours == pytest.approx(
        PLDAccountant().compose(dp_accounting.GaussianDpEvent(1 / mu)).get_epsilon(DELTA), abs=1e-3
    )
    delta = norm.cdf(-ours / mu + mu / 2) - math.exp(ours) * norm.cdf(-ours / mu - mu / 2)
    assert delta == pytest.approx(DELTA, rel=1e-4)


def test_putting_gaussians_together_is_what_composing_them_one_by_one_gives() -> None:
    zs = [2.0, 3.0, 5.0, 2.0]
    accountant = PLDAccountant()
    for z in zs:
        accountant.compose(dp_accounting.GaussianDpEvent(z))
    assert epsilon([Charge(z) for z in zs], DELTA) == pytest.approx(accountant.get_epsilon(DELTA), abs=1e-3)


@given(st.lists(st.floats(0.5, 20), min_size=2, max_size=6), st.randoms())
@settings(max_examples=15)
def test_the_order_of_rounds_changes_nothing(zs: list[float], shuffler) -> None:
    mixed = list(zs)
    shuffler.shuffle(mixed)
    for method, order in (("pld", None), ("rdp", None), ("filter", 5.0)):
        one, other = ([Charge(z) for z in each] for each in (zs, mixed))
        assert epsilon(one, DELTA, method, order) == pytest.approx(epsilon(other, DELTA, method, order), rel=1e-9)


def test_published_and_measured_figures_are_met() -> None:
    assert epsilon([Charge(4.0, steps=100)], DELTA) == pytest.approx(13.207, abs=1e-3)
    assert epsilon([Charge(4.0, steps=100)], DELTA, "rdp") == pytest.approx(14.132, abs=1e-2)
    assert epsilon([Charge(1.0, 0.02, 500)], DELTA) == pytest.approx(2.774, abs=2e-3)
    assert epsilon([Charge(1.0, 0.02, 500)], DELTA, "rdp") == pytest.approx(3.144, abs=2e-3)


@pytest.mark.parametrize("z, rate, steps", [(1.0, 0.02, 500), (0.8, 0.01, 5000)])
def test_our_coarser_loss_distributions_are_above_the_fine_ones_and_close(z, rate, steps) -> None:
    event = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(z))
    fine = PLDAccountant().compose(dp_accounting.SelfComposedDpEvent(event, steps)).get_epsilon(DELTA)
    assert fine <= epsilon([Charge(z, rate, steps)], DELTA) <= fine + 1e-3


def test_sampling_saves_and_a_rate_of_one_does_not() -> None:
    assert epsilon([Charge(1.0, 0.02, 50)], DELTA, "rdp") < epsilon([Charge(1.0, 0.5, 50)], DELTA, "rdp")
    assert epsilon([Charge(1.0, 0.5, 50)], DELTA, "rdp") < epsilon([Charge(1.0, 1.0, 50)], DELTA, "rdp")


def test_the_filter_bounds_the_others_from_above() -> None:
    charges = [Charge(1.5, 0.05, 40), Charge(3.0)]
    pld, rdp = epsilon(charges, DELTA), epsilon(charges, DELTA, "rdp")
    assert pld < rdp <= epsilon(charges, DELTA, "filter", filter_order(2.0, DELTA))
    rho = math.log(1 / DELTA) / (filter_order(8.0, DELTA) - 1) ** 2
    assert rho + 2 * math.sqrt(rho * math.log(1 / DELTA)) == pytest.approx(8.0)


@pytest.mark.parametrize("method", ["pld", "rdp", "filter"])
def test_rounds_possible_is_the_last_one_that_fits(method: str) -> None:
    order = filter_order(8.0, DELTA) if method == "filter" else None
    allowed = rounds_possible(lambda round: [Charge(6.0)], 8.0, DELTA, method)
    assert epsilon([Charge(6.0, steps=allowed)], DELTA, method, order) <= 8.0
    assert epsilon([Charge(6.0, steps=allowed + 1)], DELTA, method, order) > 8.0
    if method == "pld":
        assert gaussian_epsilon([6.0] * allowed, DELTA) <= 8.0 < gaussian_epsilon([6.0] * (allowed + 1), DELTA)
    assert rounds_possible(lambda round: [Charge(0.1)], 8.0, DELTA, method) == 0
    assert rounds_possible(lambda round: [Charge(600.0)], 8.0, DELTA, method, most=50) == 50


def test_the_multiplier_for_a_budget_is_the_smallest_that_fits() -> None:
    for method, rate in (("rdp", 0.02), ("pld", 0.02), ("pld", 1.0)):
        z = multiplier_for(4.0, DELTA, 5, rate, 20, method)
        assert epsilon([Charge(z, rate, 100)], DELTA, method) <= 4.0
        assert epsilon([Charge(z * 0.975, rate, 100)], DELTA, method) > 4.0


def test_an_impossible_budget_is_refused_in_seconds_not_minutes() -> None:
    started = time.monotonic()
    assert not within([Charge(0.05, 0.02, 100)], 8.0, DELTA), "its loss distribution takes a minute and a half"
    assert rounds_possible(lambda round: [Charge(0.2, 0.02, 200)], 4.0, DELTA) == 0
    assert time.monotonic() - started < 20


def test_the_quick_bound_never_lets_too_much_through() -> None:
    for steps in (100, 300, 450, 500, 600):
        charges = [Charge(1.0, 0.02, steps)]
        assert within(charges, 2.7, DELTA) == (epsilon(charges, DELTA) <= 2.7)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Charge(0.0), "without noise there is no epsilon"),
        (lambda: Charge(1.0, 0.0), "must be in"),
        (lambda: Charge(1.0, 0.5, 0), "at least 1"),
        (lambda: epsilon([Charge(1.0)], 0.0), "delta is 0.0"),
        (lambda: epsilon([Charge(1.0)], 0.1, "moments"), "no method 'moments'"),
        (lambda: epsilon([Charge(1.0)], 0.1, "filter"), "needs the order"),
    ],
)
def test_what_has_no_epsilon_is_refused(make, words: str) -> None:
    with pytest.raises(ComponentError, match=words):
        make()


def discrete_epsilon(sigma: float, shift: int) -> float:
    """Exact epsilon of one draw of the discrete Gaussian that hides a shift by whole steps."""
    x = np.arange(-40 * int(sigma), 40 * int(sigma) + 1)
    p = np.exp(-(x**2) / (2 * sigma**2))
    p /= p.sum()
    moved = np.append(np.zeros(shift), p[:-shift])
    return float(brentq(lambda eps: np.maximum(p - math.exp(eps) * moved, 0).sum() - DELTA, 0, 50))


@pytest.mark.parametrize(
    "sigma, shift, close", [(10.0, 10, 1e-3), (30.0, 10, 1e-3), (100.0, 100, 1e-4), (1.0, 1, None)]
)
def test_discrete_noise_costs_what_continuous_noise_does_once_it_is_wide(sigma, shift, close) -> None:
    difference = abs(discrete_epsilon(sigma, shift) - gaussian_epsilon([sigma / shift], DELTA))
    assert difference < close if close else difference > 1e-2
    assert discrete_epsilon(sigma, shift) < epsilon([Charge(sigma / shift)], DELTA, "rdp")


def test_nothing_released_costs_nothing() -> None:
    assert epsilon([], DELTA) == 0.0
