"""Poisson batches are what the accountant assumes: independent coins, at the rate reported."""

import numpy as np
import pytest
from scipy import stats

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.poisson import exact_rate, poisson_batches


def test_batch_sizes_and_members_follow_independent_coins() -> None:
    rows, steps, rate = 300, 4000, 0.05
    batches = poisson_batches(rows, rate, steps)
    sizes = batches.present.sum(axis=1)
    assert abs(sizes.mean() - rows * rate) < 6 * np.sqrt(rows * rate * (1 - rate) / steps)
    assert abs(sizes.var() / (rows * rate * (1 - rate)) - 1) < 6 * np.sqrt(2 / steps), "not a fixed batch size"
    counts = np.bincount(batches.rows[batches.present], minlength=rows)
    assert stats.chisquare(counts).pvalue > 1e-9


def test_no_record_is_cut_off_or_doubled() -> None:
    batches = poisson_batches(1000, 0.5, 20)
    for rows, present in zip(batches.rows, batches.present, strict=True):
        found = rows[present]
        assert len(set(found.tolist())) == found.size
        assert found.max() < 1000
    assert batches.rows.shape[1] % 32 == 0


def test_the_rate_reported_is_the_rate_used() -> None:
    for rate in (1e-6, 0.1, 1 / 3, 1.0):
        assert rate <= exact_rate(rate) < rate + 2**-31
    assert poisson_batches(77, 1.0, 2).present.sum() == 154
    assert exact_rate(1.0) == 1.0


def test_empty_batches_are_batches() -> None:
    assert poisson_batches(3, 1e-9, 5).present.shape == (5, 32)


@pytest.mark.parametrize("rate", [0.0, 1.5, float("nan")])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(ComponentError, match="sampling rate"):
        poisson_batches(3, rate, 1)
