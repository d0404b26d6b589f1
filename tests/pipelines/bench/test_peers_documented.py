"""Flower's documented client in `bench peers` does the work of the others, in the manner that the README says."""

import importlib
import logging
import sys

import numpy as np
import pytest

from veilflow.pipelines.bench import peers
from veilflow.pipelines.bench.peers_task import Task, write

_MODULES = ("model", "model_documented")


@pytest.fixture
def clients(monkeypatch):
    """Both clients as the peers import them: plain modules beside the script."""
    monkeypatch.syspath_prepend(str(peers.SCRIPTS))
    yield [importlib.import_module(name) for name in _MODULES]
    for name in _MODULES:
        sys.modules.pop(name)


def _round(documented, folder, received, batch, seed, rate=0.1):
    state = documented.with_arrays(documented.fresh_state(rate), received)
    state, loss, accuracy = documented.train(state, documented.load(str(folder), 0, batch, seed))
    return documented.arrays(state.params), loss, accuracy


def _vector(arrays):
    return np.concatenate([each.ravel() for each in arrays])


def test_both_clients_compute_the_same_where_batches_fit(clients, tmp_path):
    model, documented = clients
    write(Task(rows=3 * 640, batch=64), tmp_path, seed=4)
    vector, arrays = model.initial(), documented.arrays(documented.fresh_params())
    np.testing.assert_array_equal(_vector(arrays), vector, "both start from the same parameters")
    for seed in (1, 2):
        vector, ours, _ = model.train(str(tmp_path), 0, vector, seed)
        arrays, theirs, accuracy = _round(documented, tmp_path, arrays, 64, seed)
        np.testing.assert_allclose(_vector(arrays), vector, atol=1e-5)
        assert theirs == pytest.approx(ours, abs=1e-5)
        assert 0.4 < accuracy <= 1


@pytest.mark.parametrize("rows, batch, steps", [(200, 64, 3), (192, 64, 3), (50, 64, 1)])
def test_rows_that_fill_no_batch_are_left_out_of_a_round_not_of_all(clients, tmp_path, rows, batch, steps):
    _, documented = clients
    write(Task(rows=3 * rows), tmp_path, seed=4)
    known = np.load(tmp_path / "bank_1_x.npy")
    seen = np.zeros(rows, bool)
    for seed in range(5):
        loader = documented.load(str(tmp_path), 0, batch, seed)
        batches = [np.asarray(each["x"]) for each in loader]
        assert len(batches) == len(loader) == steps
        taken = np.concatenate(batches)
        assert len(taken) == loader.rows == len(np.unique(taken, axis=0)), "no row twice in a round"
        seen |= (known[:, None] == taken[None]).all(-1).any(1)
    assert seen.all()


def test_a_message_compiles_both_functions_once_as_the_readme_says(clients, tmp_path, caplog):
    import jax

    _, documented = clients
    write(Task(rows=3 * 256), tmp_path, seed=4)
    arrays = documented.arrays(documented.fresh_params())
    arrays, _, _ = _round(documented, tmp_path, arrays, 64, 1)
    with caplog.at_level(logging.DEBUG, "jax"), jax.log_compiles():
        _round(documented, tmp_path, arrays, 64, 2)
    compiled = [each.getMessage().split()[1] for each in caplog.records if each.getMessage().startswith("Compiling")]
    compiled = [name.removeprefix("jit(").removesuffix(")") for name in compiled]  # as JAX 0.8 writes names
    assert sorted(compiled) == ["gradients", "updated"]
