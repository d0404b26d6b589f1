"""Noise that parties draw together: its distribution, whichever of them knows its own part, and the margin for it."""

from fractions import Fraction

import numpy as np
import pytest

from veilflow.components.privacy.shared_noise import deviation, margin, noise_part

DRAWS = 20_000


def laplace(epsilon: float, reach: int) -> np.ndarray:
    """Exact chances of -reach..reach."""
    rate = np.exp(-epsilon)
    return (1 - rate) / (1 + rate) * rate ** np.abs(np.arange(-reach, reach + 1))


@pytest.mark.parametrize("parties", [2, 3])
@pytest.mark.parametrize("epsilon", [Fraction(1, 2), Fraction(2)])
def test_the_parts_of_all_parties_but_one_are_laplace_noise(parties: int, epsilon: Fraction) -> None:
    known_to_one = sum(noise_part(epsilon, parties, (DRAWS,)) for _ in range(parties - 1))
    reach = 3
    found = np.array([(known_to_one == value).mean() for value in range(-reach, reach + 1)])
    wanted = laplace(float(epsilon), reach)
    np.testing.assert_allclose(found, wanted, atol=5 * np.sqrt(wanted.max() / DRAWS))
    whole = known_to_one + noise_part(epsilon, parties, (DRAWS,))
    assert whole.std() == pytest.approx(deviation(float(epsilon), parties), rel=0.06)
    assert known_to_one.std() < whole.std()


def test_the_table_it_draws_from_is_exact() -> None:
    from veilflow.components.privacy.shared_noise import _cumulative

    epsilon, shares = Fraction(7, 10), 2
    table = np.array([float(Fraction(each, 1 << 192)) for each in _cumulative(epsilon, shares)[:12]])
    from scipy.stats import nbinom

    np.testing.assert_allclose(table, nbinom.cdf(np.arange(12), 1 / shares, 1 - np.exp(-0.7)), rtol=1e-12)
    assert 1 - Fraction(_cumulative(epsilon, shares)[-1], 1 << 192) < Fraction(1, 1 << 120)


@pytest.mark.parametrize("parties", [2, 3])
def test_noise_beyond_the_margin_is_as_rare_as_was_asked_for(parties: int) -> None:
    epsilon, chance = Fraction(2, 5), 0.01
    least = margin(epsilon, parties, 2, chance)
    drawn = sum(noise_part(epsilon, parties, (DRAWS, 2)).sum(axis=1) for _ in range(parties))
    assert (drawn >= least).mean() <= chance
    assert (drawn >= least // 3).mean() > chance  # not wastefully large
