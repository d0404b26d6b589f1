import numpy as np
import pytest
from scipy.stats import kstest

from veilflow.components.vertical.split.noise import gaussian


def test_noise_is_gaussian_with_the_deviation_asked_for() -> None:
    draws = gaussian(200_000, 0.7)
    variance = draws.astype(np.float64).var() / 0.49
    error = np.sqrt(2 / draws.size)
    assert abs(variance - 1) < 5 * error
    assert 1 - 5 * error > (0.69 / 0.7) ** 2, "a deviation that is 1.5 % too small would pass"
    assert draws.dtype == np.float32
    assert kstest(draws, "norm", args=(0, 0.7)).pvalue > 1e-6


def test_no_two_draws_are_the_same() -> None:
    assert (gaussian(100, 1.0) != gaussian(100, 1.0)).any()


def test_no_noise_is_exactly_none() -> None:
    assert not gaussian(10, 0.0).any()


@pytest.mark.parametrize("size", [0, 1, 7])
def test_length_is_kept(size: int) -> None:
    assert gaussian(size, 1.0).shape == (size,)
