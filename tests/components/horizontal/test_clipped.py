"""What one row can do to a sum of clipped gradients, and to a round, whatever is in its cells."""

from dataclasses import replace

import jax
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as example
from hypothesis import strategies as st

from veilflow.components.data.columns import Columns
from veilflow.components.horizontal.fedavg.arrays import FEATURE_BOUND, table_arrays
from veilflow.components.horizontal.fedavg.client import common, learn, make_client
from veilflow.components.horizontal.fedavg.clipped import clipped_sum, rows_on
from veilflow.components.horizontal.fedavg.layout import layout_of, unflatten
from veilflow.components.horizontal.fedavg.networks import network
from veilflow.components.horizontal.fedavg.settings import Compress, LocalSettings, ModelSpec, Privacy, Settings
from veilflow.components.training.tally import Tally

SPECS = {
    "logistic": ModelSpec("logistic", ()),
    "dense": ModelSpec("mlp", (6, 4), "relu"),
    "by row": ModelSpec("mlp", (6,), "relu", norm="layer"),
}
WIDTH, ROWS_BEFORE = 5, 7
CELLS = st.sampled_from([0.0, 1.0, -3.0, 1e9, 1e19, 1e20, -1e20, 1e29, 3e38, np.inf, -np.inf, np.nan])
SUMS = {name: jax.jit(clipped_sum(spec, network(spec))) for name, spec in SPECS.items()}


def model(kind: str, longer: float = 1.0):
    params = network(SPECS[kind]).init((WIDTH,), np.random.default_rng(0))[0]
    return {name: np.asarray(value) * np.float32(longer) for name, value in params.items()}


def masked(params, share: float, whole: bool):
    layout = layout_of(params)
    flags = (np.random.default_rng(1).random(layout.size) < share).astype(np.float32)
    flags[0] = 1.0
    mask = {name: np.asarray(each) for name, each in unflatten(flags, layout).items()}
    return {**mask, **(rows_on(mask, most=1e9) if whole else {})}


@example(max_examples=80, deadline=None)
@given(
    st.sampled_from(list(SPECS)),
    st.lists(CELLS, min_size=WIDTH, max_size=WIDTH),
    st.booleans(),
    st.sampled_from([1.0, 1e10, 1e30]),
    st.sampled_from([None, "entries", "rows"]),
    st.sampled_from([0.1, 1.0, 30.0]),
)
def test_no_row_moves_the_sum_by_more_than_the_bound_or_makes_it_not_finite(kind, cells, label, longer, on, bound):
    x = np.random.default_rng(2).normal(size=(ROWS_BEFORE + 1, WIDTH)).astype(np.float32)
    y = np.arange(ROWS_BEFORE + 1, dtype=np.float32) % 2
    x[3], y[3] = np.array(cells, np.float32), np.float32(label)
    params = model(kind, longer)
    mask = None if on is None else masked(params, 0.4, on == "rows")
    # Two arrays: JAX may read an argument where it lies, also after the call has returned.
    all_rows, all_but_one = np.ones((2, ROWS_BEFORE + 1), np.float32)
    all_but_one[3] = 0.0
    there, _, yes = SUMS[kind](params, x, y, all_rows, np.float32(bound), mask)
    away, _, without = SUMS[kind](params, x, y, all_but_one, np.float32(bound), mask)
    moved = np.concatenate([np.ravel(np.asarray(there[n], np.float64) - np.asarray(away[n])) for n in there])
    assert np.isfinite(moved).all()
    slack = 1e-4 if longer == 1.0 else 1e-3  # sums of rows in float32: each is rounded beside the others
    assert np.linalg.norm(moved) <= bound * (1 + slack)
    assert abs(float(yes) - float(without)) == 1.0, "a row has one vote, whatever it holds"


@pytest.mark.parametrize("kind", list(SPECS))
@pytest.mark.parametrize("cell", [1e20, 1e29, np.inf, np.nan])
def test_a_row_that_is_not_usable_leaves_the_other_rows_as_they_are(kind, cell):
    x = np.random.default_rng(2).normal(size=(ROWS_BEFORE, WIDTH)).astype(np.float32)
    y, params = np.arange(ROWS_BEFORE, dtype=np.float32) % 2, model(kind)
    weight, bound = np.ones(ROWS_BEFORE + 1, np.float32), np.float32(1e3)
    plain = SUMS[kind](params, x, y, weight[:-1], bound, None)[0]
    longer = np.vstack([x, np.full((1, WIDTH), cell, np.float32)])
    found = SUMS[kind](params, longer, np.append(y, np.float32(1)), weight, bound, None)[0]
    if kind != "by row" or not np.isfinite(cell):  # layer normalisation makes a row of 1e20 one like any other
        for name in plain:
            np.testing.assert_allclose(found[name], plain[name], rtol=1e-5, atol=1e-6)


def bank(kind: str, planted: float | None, settings: Settings):
    """A client whose rows' gradients are next to nothing, and perhaps one row more."""
    x, y = np.zeros((20, WIDTH), np.float32), np.arange(20, dtype=np.float32) % 2
    if planted is not None:
        x, y = np.vstack([x, np.full((1, WIDTH), planted, np.float32)]), np.append(y, np.float32(0))
    return make_client(SPECS[kind], settings, (x, y), (WIDTH,), np.random.default_rng(0))


@pytest.mark.parametrize("kind", list(SPECS))
@pytest.mark.parametrize("planted", [1e20, 1e29, np.inf, np.nan])
@pytest.mark.parametrize("keep", [1.0, 0.4])
def test_a_canary_row_does_not_switch_the_noise_off(kind, planted, keep):
    """It did: its squares overflowed, the whole sum became NaN, and the update zeros that nothing was added to."""
    settings = Settings(3, LocalSettings(batch=1000, rate=1.0), Privacy("record", clip=0.5), compress=Compress(keep))
    one = bank(kind, planted, settings)
    vector = np.asarray(common(one))
    mask = np.arange(0, vector.size, 2) if keep < 1 else None
    updates = np.stack([learn(one, vector, 2.0, Tally(), mask)[1] for _ in range(12)])
    moving = updates if mask is None else updates[:, mask]
    # 12 draws of deviation noise * bound / expected rows in each coordinate; a zero update has none.
    deviation = 2.0 * settings.row_bound * settings.steps.rate / 21
    assert 0.6 * deviation < np.median(moving.std(axis=0)) < 1.4 * deviation
    assert all(set(learn(one, vector, 2.0, Tally(), mask)[2]) == {"astray"} for _ in range(2))


def test_an_update_that_is_not_finite_is_replaced_by_the_noise_of_its_steps():
    settings = Settings(3, LocalSettings(batch=1000, rate=1.0), Privacy("record", clip=0.5))
    one = bank("dense", None, settings)
    vector = np.asarray(common(one))
    wild = replace(one, settings=replace(settings, local=LocalSettings(batch=1000, rate=float("inf"))))
    found = [learn(wild, vector, 2.0, Tally()) for _ in range(2)]
    for done, update, facts in found:
        assert facts == {"astray": True}
        assert np.isfinite(update).all()
        assert (update != 0).all()
        np.testing.assert_array_equal(common(done), common(one))
    assert not np.array_equal(found[0][1], found[1][1])


def test_features_are_cut_at_a_public_bound_before_any_product():
    columns = Columns(("income",), "late", {})
    frame = pd.DataFrame({"income": [1e29, -1e300, 5.0], "late": [0, 1, 0]})
    x, _ = table_arrays(frame, columns)
    np.testing.assert_array_equal(x[:, 0], np.array([FEATURE_BOUND, -FEATURE_BOUND, 5.0], np.float32))
    assert np.isfinite(np.float32(FEATURE_BOUND) ** 2 * np.float32(1e6))
