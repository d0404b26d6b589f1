"""What leaves a client fits the agreed bound, keeps the sensitivity, and comes back as the weighted mean."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from veilflow.components.errors import ComponentError
from veilflow.components.privacy import release as path
from veilflow.components.privacy.quantise import Grid, squared_norm
from veilflow.components.privacy.release import Release, at_bound, fitting, mean_update, noise_share, protect
from veilflow.components.privacy.rotate import Rotation
from veilflow.components.privacy.sparsify import random_mask, scatter

TURN = Rotation(b"public", 3)


def most(bits: int) -> int:
    return (1 << (bits - 1)) - 1


@given(
    hnp.arrays(np.float64, 30, elements=st.floats()), st.sampled_from([0.0, 0.5, 3.0]), st.sampled_from([12, 16, 20])
)
@settings(max_examples=60)
def test_every_value_fits_the_agreed_bits_whatever_the_update(update, multiplier, bits) -> None:
    release = fitting(1.0, multiplier, 30, most(bits))
    units = protect(update, release, TURN)
    assert units.dtype == np.int64
    assert np.abs(units).max() <= release.bound < 2 ** (bits - 1)


@given(
    hnp.arrays(np.float64, st.integers(1, 70), elements=st.floats(-1e6, 1e6)),
    st.floats(0.01, 1.0),
    st.floats(1e-3, 1e3),
    st.integers(4, 24),
)
@settings(max_examples=150)
def test_weight_rotation_and_rounding_never_exceed_the_sensitivity(update, factor, clip, bits) -> None:
    """Without noise what leaves is what noise must cover; saturation only shortens it."""
    release = fitting(clip, 0.0, update.size, most(bits))
    units = protect(update, release, TURN, factor=factor)
    assert squared_norm(units) <= release.sensitivity(factor) ** 2
    assert release.sensitivity(factor) <= release.sensitivity()
    slack = math.sqrt(update.size) / 2
    assert release.sensitivity(factor) <= math.ceil(factor * clip / release.grid.step + slack) + 1


@pytest.mark.parametrize("multiplier, bits", [(0.0, 6), (0.0, 8), (1.0, 12), (1.0, 16), (3.0, 18)])
def test_the_grid_is_the_finest_whose_values_rarely_saturate(multiplier: float, bits: int) -> None:
    release = fitting(2.0, multiplier, 1000, most(bits))
    rng = np.random.default_rng(bits)
    full = rng.standard_t(2, 1000)
    full *= 2.0 / np.linalg.norm(full)
    cut = sum(at_bound(protect(full, release, Rotation(b"x", each)), release) for each in range(50))
    assert cut <= 30, "6 in 100 000 of a Gaussian's values are beyond four deviations"
    reach = max(int(np.abs(protect(full, release, Rotation(b"x", each))).max()) for each in range(50))
    assert reach >= 0.7 * most(bits), "the bits are used"


def test_saturated_values_are_counted() -> None:
    release = fitting(1.0, 0.0, 16, most(4))
    tight = Release(1.0, 0.0, release.grid, 16, 1)
    units = protect(np.eye(16)[0], tight, TURN)
    assert at_bound(units, tight) == int((np.abs(units) == 1).sum()) > 0
    assert np.abs(units).max() == 1


def test_without_noise_the_weighted_mean_comes_back() -> None:
    rng = np.random.default_rng(2)
    updates = [rng.normal(0, 0.01, 500) for _ in range(3)]
    factors, release = [0.2, 1.0, 0.4], fitting(1.0, 0.0, 500, most(24))
    total = np.sum([protect(u, release, TURN, factor=f) for f, u in zip(factors, updates, strict=True)], axis=0)
    wanted = np.average(updates, axis=0, weights=factors)
    np.testing.assert_allclose(mean_update(total, release, TURN, 1.6), wanted, atol=10 * release.grid.step)


def test_eight_bits_lose_little_of_an_update_with_a_few_long_coordinates() -> None:
    """Where 8 bits without a rotation would lose nearly all the short ones."""
    update = np.random.default_rng(3).normal(0, 0.01, 4000)
    update[:5] = 10.0
    release = fitting(float(np.linalg.norm(update)), 0.0, 4000, most(8))
    found = mean_update(protect(update, release, TURN), release, TURN, 1.0)
    assert np.linalg.norm(found - update) < 0.02 * np.linalg.norm(update)


def test_noise_is_calibrated_to_the_integers_and_lies_on_the_mask_only() -> None:
    release = fitting(1.0, 2.0, 400, most(20))
    mask = random_mask(b"s", 0, 4000, 400)
    drawn = np.concatenate([protect(np.zeros(4000), release, TURN, mask) for _ in range(100)])
    assert abs(drawn.std() / (2.0 * release.sensitivity()) - 1) < 6 / np.sqrt(2 * drawn.size) + 2e-3
    update = np.zeros(4000)
    update[mask] = 0.9 / 20
    mean = np.mean([mean_update(protect(update, release, TURN, mask), release, TURN, 1) for _ in range(200)], axis=0)
    dense = scatter(mean, mask, 4000)
    assert (dense[np.setdiff1d(np.arange(4000), mask)] == 0).all()
    assert abs(mean.mean() - 0.9 / 20) < 6 * 2.0 * 1.02 / np.sqrt(200 * 400)


@pytest.mark.parametrize("factor, share", [(1.0, 1.0), (0.25, 1.0), (1.0, 0.6), (0.5, 0.6)])
def test_noise_follows_weight_and_share(factor: float, share: float) -> None:
    release = fitting(1.0, 2.0, 500, most(20))
    drawn = np.concatenate([protect(np.zeros(500), release, TURN, None, factor, share) for _ in range(60)])
    wanted = share * 2.0 * release.sensitivity(factor)
    assert abs(drawn.std() / wanted - 1) < 6 / np.sqrt(2 * drawn.size) + 2e-3


def test_noise_of_a_tiny_weight_stays_wide_enough_for_the_accountant() -> None:
    release = fitting(1.0, 2.0, 4, most(10))
    assert release.sigma(1e-6) == path.MIN_SIGMA < release.sigma()


@pytest.mark.parametrize("colluding", [1, 2, 3])
@pytest.mark.parametrize(
    "sensitivities", [dict.fromkeys("abcde", 1), {"a": 0.6, "b": 0.3, "c": 0.1, "d": 0.1, "e": 0.5}]
)
def test_noise_covers_every_client_against_one_that_looks_and_those_that_tell_it(sensitivities, colluding):
    """Whoever looks at the sum knows its own noise: it counts for nothing, beside that of those it pools with."""
    share = noise_share(sensitivities, colluding)
    for target, weight in sensitivities.items():
        others = [other for other in sensitivities if other != target]
        for bad in itertools.combinations(others, 1 + colluding):
            left = [sensitivities[target], *(sensitivities[other] for other in others if other not in bad)]
            assert share * math.sqrt(sum(w**2 for w in left)) >= weight * (1 - 1e-9)
    assert noise_share(dict.fromkeys("abcde", 1), 1) == pytest.approx(1 / math.sqrt(3))
    assert noise_share(sensitivities, 3) == pytest.approx(1.0)
    assert noise_share(dict.fromkeys("abc", 1), 1) == 1.0, "of three clients two know all but one's"


def test_noise_divided_as_if_nobody_looked_is_refused():
    with pytest.raises(ComponentError, match="colluding is at least 1"):
        noise_share({"a": 1, "b": 1, "c": 1}, 0)


def test_an_update_that_is_not_finite_is_noise_alone() -> None:
    release = fitting(1.0, 0.0, 3, most(16))
    assert protect(np.array([1.0, np.nan, np.inf]), release, TURN).tolist() == [0, 0, 0]


def test_what_cannot_be_released_is_refused() -> None:
    with pytest.raises(ComponentError, match="do not fit into values up to 127 with noise multiplier 1"):
        fitting(1.0, 1.0, 10_000, most(8))
    with pytest.raises(ComponentError, match="30 coordinates were agreed, the update has 29"):
        protect(np.zeros(29), fitting(1.0, 1.0, 30, most(16)), TURN)
    with pytest.raises(ComponentError, match="counts on at least 10"):
        Release(1.0, 0.5, Grid(0.1), 10, 1000)
    with pytest.raises(ComponentError, match="grid steps wide, at most"):
        Release(1.0, 1.0, Grid(1e-9), 10, 1000)
