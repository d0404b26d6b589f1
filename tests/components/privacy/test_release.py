"""What leaves a client fits the agreed bound, and comes back as the weighted mean."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.quantise import Grid
from veilflow.components.privacy.release import Release, fitting, mean_update, protect
from veilflow.components.privacy.sparsify import random_mask, scatter


@given(
    hnp.arrays(np.float64, 30, elements=st.floats()), st.sampled_from([0.0, 0.5, 3.0]), st.sampled_from([12, 16, 20])
)
@settings(max_examples=60)
def test_every_value_fits_the_agreed_bits_whatever_the_update(update, multiplier, bits) -> None:
    release = fitting(1.0, multiplier, 30, bits)
    units = protect(update, release)
    assert units.dtype == np.int64
    assert np.abs(units).max() <= release.bound < 2 ** (bits - 1)


@pytest.mark.parametrize("bits", [12, 16, 20])
def test_the_grid_is_the_finest_that_fits(bits: int) -> None:
    release = fitting(2.0, 1.0, 1000, bits)
    assert release.bound < 2 ** (bits - 1)
    finer = Grid(release.grid.step * 2 ** (-1 / 64))
    assert Release(2.0, 1.0, finer, 1000).bound >= 2 ** (bits - 1)


def test_without_noise_the_weighted_mean_comes_back() -> None:
    rng = np.random.default_rng(2)
    updates = [rng.normal(0, 0.01, 500) for _ in range(3)]
    weights, release = [1, 5, 2], fitting(1.0, 0.0, 500, 24)
    total = sum(w * protect(u, release) for w, u in zip(weights, updates, strict=True))
    wanted = np.average(updates, axis=0, weights=weights)
    np.testing.assert_allclose(mean_update(total, release, 8), wanted, atol=release.grid.step)


def test_noise_is_calibrated_to_the_integers_and_lies_on_the_mask_only() -> None:
    release = fitting(1.0, 2.0, 400, 20)
    mask = random_mask(b"s", 0, 4000, 400)
    drawn = np.concatenate([protect(np.zeros(4000), release, mask) for _ in range(100)])
    assert abs(drawn.std() / (2.0 * release.sensitivity) - 1) < 6 / np.sqrt(2 * drawn.size)
    update = np.zeros(4000)
    update[mask] = 0.9 / 20
    mean = np.mean([mean_update(protect(update, release, mask), release, 1) for _ in range(200)], axis=0)
    dense = scatter(mean, mask, 4000)
    assert (dense[np.setdiff1d(np.arange(4000), mask)] == 0).all()
    assert abs(mean.mean() - 0.9 / 20) < 6 * 2.0 * 1.02 / np.sqrt(200 * 400)


def test_an_update_that_is_not_finite_is_noise_alone() -> None:
    release = fitting(1.0, 0.0, 3, 16)
    assert protect(np.array([1.0, np.nan, np.inf]), release).tolist() == [0, 0, 0]


def test_what_cannot_be_released_is_refused() -> None:
    with pytest.raises(ComponentError, match="do not fit into 8 bits"):
        fitting(1.0, 20.0, 10_000, 8)
    with pytest.raises(ComponentError, match="30 coordinates were agreed, the update has 29"):
        protect(np.zeros(29), fitting(1.0, 1.0, 30))
    with pytest.raises(ComponentError, match="counts on at least 10"):
        Release(1.0, 0.5, Grid(0.1), 10)
    with pytest.raises(ComponentError, match="grid steps wide"):
        Release(1.0, 1.0, Grid(1e-9), 10)
