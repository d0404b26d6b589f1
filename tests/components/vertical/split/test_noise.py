import os

import numpy as np
import pytest
from scipy.stats import kstest

from veilflow.components.vertical.split.fixed_point import FRACTION_BITS
from veilflow.components.vertical.split.noise import MAX_DEVIATION, gaussian
from veilflow.components.vertical.split.settings import MAX_DEVIATION as LARGEST_SETTING


def test_noise_is_gaussian_with_the_deviation_asked_for() -> None:
    draws = gaussian(200_000, 0.7) / 2.0**FRACTION_BITS
    variance = draws.var() / 0.49
    error = np.sqrt(2 / draws.size)
    assert abs(variance - 1) < 5 * error
    assert 1 - 5 * error > (0.69 / 0.7) ** 2, "a deviation that is 1.5 % too small would pass"
    assert kstest(draws, "norm", args=(0, 0.7)).pvalue > 1e-6


def test_large_noise_keeps_its_last_bits_and_fits_into_the_message() -> None:
    draws = gaussian(20_000, LARGEST_SETTING)
    assert draws.dtype == np.int32
    assert LARGEST_SETTING <= MAX_DEVIATION
    assert abs((draws % 2).mean() - 0.5) < 0.02, "a float32 would have left even numbers only"


def test_the_randomness_is_the_systems_stream() -> None:
    asked = []

    def words(count: int) -> np.ndarray:
        asked.append(count)
        return np.frombuffer(os.urandom(8 * count), np.uint64)

    gaussian(100, 1.0, words)
    assert asked == [100]


def test_no_two_draws_are_the_same() -> None:
    assert (gaussian(100, 1.0) != gaussian(100, 1.0)).any()


def test_no_noise_is_exactly_none() -> None:
    assert not gaussian(10, 0.0).any()


@pytest.mark.parametrize("size", [0, 1, 7])
def test_length_is_kept(size: int) -> None:
    assert gaussian(size, 1.0).shape == (size,)
