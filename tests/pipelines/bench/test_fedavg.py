"""The bench's federation is the parties' own code: it learns, keeps budgets, and its statistics are right."""

from dataclasses import replace

import numpy as np

from veilflow.components.horizontal.fedavg.settings import LocalSettings, ModelSpec, Privacy, Settings, Weighting
from veilflow.pipelines.bench.fedavg import interval
from veilflow.pipelines.bench.fedavg_data import noisy_banks
from veilflow.pipelines.bench.fedavg_local import Federation

SPEC = ModelSpec("logistic", ())
BASE = Settings(4, LocalSettings(batch=64, rate=0.1), Privacy("none"))


def test_contribution_weights_leave_the_noisy_bank_and_learn_faster():
    banks, reference, test = noisy_banks(0, 400)
    found = {}
    for by in ("size", "contribution"):
        settings = replace(BASE, weighting=Weighting(by))
        federation = Federation(SPEC, settings, banks, [], reference, 0)
        for number in range(4):
            federation.round(number)
        found[by] = federation.quality(test)
        if by == "contribution":
            assert federation.weights["bank_3"] < 0.2
        else:
            assert federation.weights["bank_3"] > 0.5
    assert found["contribution"].loss < found["size"].loss
    assert found["contribution"].auc > 0.7


def test_the_protected_federation_learns_too():
    banks, _, test = noisy_banks(0, 1500)
    honest = {party: rows for party, rows in banks.items() if party != "bank_3"}
    settings = replace(BASE, local=LocalSettings(batch=300, rate=1.0), privacy=Privacy("record"))
    federation = Federation(SPEC, settings, honest, [1.0] * 8)
    for number in range(8):
        federation.round(number)
    assert federation.quality(test).auc > 0.65


def test_the_interval_of_a_mean_covers_it_and_narrows():
    rng = np.random.default_rng(1)
    few, many = list(rng.normal(1, 1, 10)), list(rng.normal(1, 1, 1000))
    for values in (few, many):
        low, high = interval(values)
        assert low < np.mean(values) < high
    assert np.diff(interval(many)) < np.diff(interval(few))
