"""The integer norm never exceeds the sensitivity that noise is calibrated to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.quantise import ROUNDING, Grid, dequantise, quantise, shrink, squared_norm

VECTORS = hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e9, 1e9))


def exact(units: np.ndarray) -> int:
    return sum(int(x) ** 2 for x in units)


@given(VECTORS, st.sampled_from(ROUNDING), st.sampled_from([1e-3, 0.3, 1.0]), st.sampled_from([0.01, 1.0, 50.0]))
def test_the_norm_of_the_integers_is_within_the_sensitivity(vector, rounding, step, clip) -> None:
    grid = Grid(step, rounding)
    units = quantise(vector, grid, clip)
    assert units.dtype == np.int64
    assert exact(units) <= grid.sensitivity(clip, vector.size) ** 2


@pytest.mark.parametrize("rounding", ROUNDING)
def test_values_come_back_within_a_step(rounding: str) -> None:
    vector = np.random.default_rng(5).normal(0, 1, 3000)
    vector /= np.linalg.norm(vector)
    grid = Grid(1e-4, rounding)
    back = dequantise(quantise(vector, grid, 1.0), grid)
    assert np.abs(back - vector).max() <= grid.step * (0.5 if rounding == "nearest" else 1.0) * (1 + 1e-9)


def test_stochastic_rounding_is_unbiased_and_the_others_are_not() -> None:
    grid, vector, draws = Grid(1.0, "stochastic"), np.full(100, 0.25), 400
    mean = np.mean([quantise(vector, grid, 20.0).mean() for _ in range(draws)])
    assert abs(mean - 0.25) < 6 * np.sqrt(0.25 * 0.75 / (100 * draws))
    assert quantise(vector, Grid(1.0, "nearest"), 20.0).sum() == 0


def test_rounding_to_zero_keeps_the_sensitivity_of_the_reals() -> None:
    assert Grid(0.5, "toward_zero").sensitivity(10.0, 10_000) == 20
    assert Grid(0.5, "nearest").sensitivity(10.0, 10_000) == 70


def test_a_vector_that_rounds_beyond_the_sensitivity_is_shrunk() -> None:
    units = np.full(400, 3)
    assert exact(shrink(units, 40)) <= 1600
    assert (shrink(units, 60) == units).all()


@given(hnp.arrays(np.int64, st.integers(0, 30), elements=st.integers(-(2**62), 2**62) | st.integers(-(2**31), 2**31)))
def test_the_norm_is_exact_at_any_size(units) -> None:
    assert squared_norm(units) == exact(units)


def test_bad_grids_and_vectors_are_refused() -> None:
    with pytest.raises(ComponentError, match="step is 0"):
        Grid(0.0)
    with pytest.raises(ComponentError, match="no rounding 'up'"):
        Grid(1.0, "up")
    with pytest.raises(ComponentError, match="must be flat and finite"):
        quantise(np.array([np.nan]), Grid(1.0), 1.0)
