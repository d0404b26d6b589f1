"""Who takes part, how updates become whole numbers, and what the budget says."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg.budget import (
    Exposure,
    epsilon,
    least_noise,
    possible_rounds,
    require_possible,
)
from veilflow.components.horizontal.fedavg.codec import decode, encode, shorten, whole_weights
from veilflow.components.horizontal.fedavg.layout import flatten, is_local, layout_of, unflatten
from veilflow.components.horizontal.fedavg.randomness import SecretStream
from veilflow.components.horizontal.fedavg.rounds import arrives, begins, chosen, staleness_weight
from veilflow.components.horizontal.fedavg.settings import ModelSpec, Privacy, Settings, Weighting, parse_slow


def test_rounding_is_right_on_average_and_never_off_by_a_whole_step():
    update = np.full(20_000, 0.3 * 10 / 2**11, np.float32)
    found = encode(update, 10.0, 12, SecretStream())
    assert set(np.unique(found)) == {0, 1}
    assert abs(found.mean() - 0.3) < 0.02


def test_a_weighted_sum_decodes_to_the_weighted_mean():
    rng = np.random.default_rng(0)
    vectors = {name: shorten(rng.normal(size=50).astype(np.float32), 5.0)[0] for name in "abc"}
    weights = whole_weights({"a": 0.2, "b": 0.5, "c": 0.3})
    total = sum(weights[n] * encode(v, 5.0, 20, SecretStream()) for n, v in vectors.items())
    wanted = sum(weights[n] * v for n, v in vectors.items()) / sum(weights.values())
    np.testing.assert_allclose(decode(total, 5.0, 20, sum(weights.values())), wanted, atol=5.0 / 2**19)


def test_what_no_honest_client_can_send_is_refused():
    with pytest.raises(ComponentError, match="1 of 2 entries"):
        decode(np.array([0, 3 * 2**20]), 5.0, 20, 2)


def test_updates_are_shortened_to_the_bound_and_not_beyond():
    long, was = shorten(np.full(4, 10.0, np.float32), 4.0)
    assert was
    assert np.linalg.norm(long) == pytest.approx(4.0, rel=1e-5)
    short, was = shorten(np.full(4, 1.0, np.float32), 4.0)
    assert not was
    assert (short == 1.0).all()


def test_an_update_with_nan_is_named_without_its_values():
    with pytest.raises(ComponentError, match=r"1 of 2 entries of the local update are not finite.*learning_rate"):
        shorten(np.array([np.nan, 1.0], np.float32), 1.0)


def test_parameters_survive_the_vector():
    params = {"b/kernel": np.arange(6.0).reshape(2, 3), "a/bias": np.ones(2)}
    layout = layout_of(params)
    back = unflatten(flatten(params, layout), layout)
    for name, value in params.items():
        np.testing.assert_array_equal(back[name], value)
    assert is_local("BatchNorm_0/scale", ("BatchNorm",))
    assert not is_local("Dense_0/kernel", ("BatchNorm",))


def test_nobody_alone_chooses_who_takes_part_and_the_share_is_kept():
    clients = ["a", "b", "c", "d"]
    seen = [tuple(chosen([bytes([i]), b"x"], clients, 0.5)) for i in range(40)]
    assert {len(each) for each in seen} == {2}
    assert len(set(seen)) > 3
    assert chosen([b""], clients, 1.0) == clients
    assert len(chosen([b""], clients, 0.01)) == 1


def test_a_slow_client_begins_and_arrives_once_a_period():
    slow = {"c": 3}
    assert [begins("c", r, slow) for r in range(6)] == [True, False, False, True, False, False]
    assert [arrives("c", r, slow) for r in range(6)] == [False, False, True, False, False, True]
    assert all(begins("a", r, slow) and arrives("a", r, slow) for r in range(6))
    assert staleness_weight(0, 5) == 1.0
    assert staleness_weight(2, 5) == pytest.approx(1 / math.sqrt(3))
    assert staleness_weight(6, 5) == 0.0


def closed_form(mu: float, delta: float) -> float:
    """Epsilon of the Gaussian mechanism, by bisection on its exact delta."""
    phi, low, high = NormalDist().cdf, 0.0, 500.0
    for _ in range(200):
        e = (low + high) / 2
        tail = math.exp(e) * phi(-e / mu - mu / 2) if e < 600 else 0.0
        low, high = (low, e) if phi(-e / mu + mu / 2) - tail <= delta else (e, high)
    return high


def test_epsilon_is_the_closed_form_without_sampling_and_order_does_not_matter():
    noises = [4.0] * 5 + [2.0] * 5
    mu = math.sqrt(sum(1 / z**2 for z in noises))
    found = epsilon(Exposure(1.0, 1), noises, 1e-5)
    assert found == pytest.approx(closed_form(mu, 1e-5), abs=1e-3)
    assert epsilon(Exposure(1.0, 1), noises[::-1], 1e-5) == found
    assert epsilon(Exposure(1.0, 1), [1.0, 0.0], 1e-5) == math.inf


def test_the_least_noise_is_enough_and_hardly_more():
    exposure = Exposure(0.05, 20)
    noise = least_noise(exposure, 5, 4.0, 1e-5)
    assert epsilon(exposure, [noise] * 5, 1e-5) <= 4.0
    assert epsilon(exposure, [noise * 0.97] * 5, 1e-5) > 4.0


def test_an_impossible_plan_says_how_many_rounds_are_possible():
    exposure = Exposure(1.0, 1)
    noises = [2.0] * 40
    possible = possible_rounds(exposure, noises, 5.0, 1e-5)
    assert epsilon(exposure, noises[:possible], 1e-5) <= 5.0 < epsilon(exposure, noises[: possible + 1], 1e-5)
    with pytest.raises(ComponentError, match=f"not last for 40 rounds.*it lasts for {possible}"):
        require_possible(exposure, noises, 5.0, 1e-5)


@pytest.mark.parametrize(
    "settings, spec, message",
    [
        (Settings(3, privacy=Privacy("record")), ModelSpec(norm="batch"), "batch mixes the rows"),
        (Settings(3, weighting=Weighting("contribution")), ModelSpec(), "give 'valid'"),
        (Settings(3, weighting=Weighting(smallest=0.4)), ModelSpec(), "cannot sum to 1"),
        (Settings(3, slow=(("z", 2),)), ModelSpec(), "slow names z"),
        (Settings(3, slow=(("a", 9),)), ModelSpec(), "more than max_staleness 5"),
        (Settings(3), ModelSpec("mlp", ()), "needs model/layers"),
        (Settings(3), ModelSpec("module", (), path="x"), "package.module:Class"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, spec, message):
    with pytest.raises(ComponentError, match=message):
        settings.check(spec, ["a", "b", "c"], False)


def test_slow_is_party_and_rounds():
    assert parse_slow(["a:3"]) == (("a", 3),)
    with pytest.raises(ComponentError, match="party:rounds"):
        parse_slow(["a"])
