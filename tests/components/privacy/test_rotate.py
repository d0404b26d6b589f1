"""A rotation keeps lengths and angles, comes back exactly, and spreads any vector."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as example
from hypothesis import strategies as st

from veilflow.components.privacy.rotate import Rotation


@given(st.binary(max_size=9), st.integers(0, 10**6), st.integers(1, 600), st.integers(0, 99))
@example(max_examples=60)
def test_it_is_orthogonal_and_its_inverse_is_exact(seed, round, size, data) -> None:
    turn, rng = Rotation(seed, round), np.random.default_rng(data)
    one, other = rng.standard_t(2, (2, size))
    scale = np.linalg.norm(one) * np.linalg.norm(other)
    assert abs(turn.apply(one) @ turn.apply(other) - one @ other) < 1e-12 * scale
    for there, back in ((turn.apply, turn.invert), (turn.invert, turn.apply)):
        np.testing.assert_allclose(back(there(one)), one, atol=1e-12 * np.linalg.norm(one))
    assert turn.apply(one).tolist() == Rotation(seed, round).apply(one).tolist(), "the same bits at everybody"


@pytest.mark.parametrize("size", [40, 1190, 3969, 4096])
@pytest.mark.parametrize("where", ["first", "last", "all"])
def test_no_coordinate_stays_long(size: int, where: str) -> None:
    vector = np.zeros(size)
    vector[{"first": 0, "last": -1, "all": slice(None)}[where]] = 1.0
    vector /= np.linalg.norm(vector)
    spread = np.stack([Rotation(b"s", each).apply(vector) for each in range(60)]) * np.sqrt(size)
    assert np.abs(spread).max() < 6.5
    deviations = np.sqrt((spread**2).mean(axis=0))
    assert np.sqrt(np.sort(deviations**2)[-size // 10 :].mean()) < 1.8, "no part of the vector keeps it"


def test_rounds_and_seeds_differ() -> None:
    vector = np.arange(1.0, 100.0)
    turned = [Rotation(seed, round).apply(vector).tobytes() for seed in (b"a", b"b") for round in (0, 1)]
    assert len(set(turned)) == 4


def test_the_rotation_is_the_one_that_other_versions_make() -> None:
    """Replicas on other machines must make the same bits; a change here is a change of the protocol."""
    turned = Rotation(b"veilflow", 7).apply(np.arange(1.0, 50.0))
    assert hashlib.sha256(turned.tobytes()).hexdigest()[:16] == "1aa28723f0f4fe73"
