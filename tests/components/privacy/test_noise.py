"""Noise has the distribution that the accountant counts on; thresholds let true noise fail once in 10**9 runs."""

import math

import mpmath
import numpy as np
import pytest
from scipy import stats

from veilflow.components.errors import ComponentError
from veilflow.components.privacy import noise, stream

P = 1e-9


def chi_square(drawn: np.ndarray, sigma: float) -> float:
    """p-value of ``drawn`` against the discrete Gaussian with ``sigma``, cells of few expected draws put together.

    A cell is about an eighth of sigma wide: hundreds of narrower ones would dilute what a shift by one shows, and the
    test would let it pass once in fifty runs at sigma 40.
    """
    reach, width = int(6 * sigma) + 2, max(1, round(sigma / 8))
    values = np.arange(-reach, reach + 1)
    weights = np.exp(-(values**2) / (2 * sigma**2))
    expected = np.bincount((values + reach) // width, weights / weights.sum() * drawn.size)
    cells = (np.clip(drawn, -reach, reach) + reach) // width
    observed = np.bincount(cells, minlength=expected.size).astype(float)
    small = expected < 20
    seen = np.append(observed[~small], observed[small].sum())
    wanted = np.append(expected[~small], expected[small].sum())
    return float(stats.chisquare(seen, wanted * seen.sum() / wanted.sum()).pvalue)


@pytest.mark.parametrize("sigma", [0.7, 2.5, 40.0])
def test_the_discrete_gaussian_fits_its_distribution_and_no_other(sigma: float) -> None:
    drawn = noise.discrete_gaussian(1_000_000, sigma)
    assert drawn.dtype == np.int64
    assert chi_square(drawn, sigma) > P
    assert chi_square(drawn, sigma * 1.03) < P, "the test sees 3 percent less noise"
    assert chi_square(drawn + 1, sigma) < P, "and a shift"


def test_wide_discrete_noise_is_gaussian_with_the_right_deviation() -> None:
    drawn = noise.discrete_gaussian(1_000_000, 1000.0)
    smooth = drawn + (stream.random_words(drawn.size) >> np.uint64(11)) * 2.0**-53 - 0.5
    assert stats.kstest(smooth / 1000.0, "norm").pvalue > P
    assert stats.kstest(smooth / 1015.0, "norm").pvalue < P
    assert abs(drawn.std() / 1000.0 - 1) < 6 / math.sqrt(2 * drawn.size)


def test_floats_are_gaussian() -> None:
    drawn = noise.gaussian(1_000_000, 0.25)
    assert stats.kstest(drawn / 0.25, "norm").pvalue > P
    assert stats.kstest(drawn / 0.255, "norm").pvalue < P
    assert not noise.gaussian(10, 0.0).any()


@pytest.mark.parametrize("draw", [lambda n: noise.discrete_gaussian(n, 30.0), lambda n: noise.gaussian(n, 30.0)])
def test_coordinates_and_rounds_are_independent(draw) -> None:
    size = 200_000
    one, other = draw(size), draw(size)
    limit = 6.2 / math.sqrt(size)
    assert abs(np.corrcoef(one, other)[0, 1]) < limit
    assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < limit
    assert abs(np.corrcoef(one[:-1] ** 2, one[1:] ** 2)[0, 1]) < limit


def test_every_call_takes_a_fresh_key_from_the_operating_system(monkeypatch) -> None:
    keys = []
    monkeypatch.setattr(
        stream.secrets, "token_bytes", lambda n, real=stream.secrets.token_bytes: keys.append(real(n)) or keys[-1]
    )
    first, second = stream.random_words(4), stream.random_words(4)
    assert len(set(keys)) == 2
    assert {len(key) for key in keys} == {32}
    assert (first != second).all()


@pytest.mark.parametrize("sigma", [0.3, 2.5, 30.0])
def test_the_table_is_exact_to_128_bits(sigma: float) -> None:
    table = noise._table(sigma)
    with mpmath.workdps(80):
        values = range(-table.reach, table.reach + 1)
        weights = [mpmath.exp(-(mpmath.mpf(x) ** 2) / (2 * mpmath.mpf(sigma) ** 2)) for x in values]
        total, running, worst = mpmath.fsum(weights), mpmath.mpf(0), mpmath.mpf(0)
        for weight, high, low in zip(weights, table.high, table.low, strict=False):
            running += weight
            kept = mpmath.mpf((int(high) << 64) | int(low)) / mpmath.mpf(2) ** 128
            worst = max(worst, abs(kept - running / total))
        assert worst <= mpmath.mpf(2) ** -127
        outside = 2 * mpmath.exp(-(mpmath.mpf(table.reach) ** 2) / (2 * mpmath.mpf(sigma) ** 2))
        assert outside < mpmath.mpf(2) ** -128


def test_a_draw_on_a_threshold_is_decided_by_64_more_bits() -> None:
    table = noise._table(3.0)
    at = table.reach  # the threshold between 0 and 1
    for more, wanted in ((int(table.low[at]) - 1, 0), (int(table.low[at]), 1)):
        answers = iter([np.array([table.high[at]]), np.array([more], np.uint64)])
        assert noise.discrete_gaussian(1, 3.0, lambda n, left=answers: next(left)).tolist() == [wanted]


def test_the_guide_gives_the_same_as_a_search() -> None:
    table = noise._table(200.0)
    drawn = stream.random_words(100_000)
    found = noise.discrete_gaussian(drawn.size, 200.0, lambda n: drawn)
    assert (found == np.searchsorted(table.high, drawn, side="left") - table.reach).all()


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan"), 2.0**17])
def test_a_sigma_that_cannot_be_sampled_is_refused(sigma: float) -> None:
    with pytest.raises(ComponentError, match="noise: sigma is"):
        noise.discrete_gaussian(3, sigma)
