"""Synthetic data carries the signal it claims, at both parties, and the same seed gives the same rows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from veilflow.datasets.generators import hospital_insurer, three_banks
from veilflow.datasets.generators.bayes import bayes_auc


@given(st.lists(st.sampled_from([0.1, 0.2, 0.5, 0.9]), min_size=2, max_size=12))
def test_bayes_auc_is_the_mean_over_all_pairs(chances: list[float]):
    p = np.array(chances)
    wins = pairs = 0.0
    for i in range(len(p)):
        for j in range(len(p)):
            if i != j:
                pairs += p[i] * (1 - p[j])
                wins += p[i] * (1 - p[j]) * (0.5 * (p[i] == p[j]) + (p[i] > p[j]))
    assert bayes_auc(p) == pytest.approx(wins / pairs)


def _auc(frame: pd.DataFrame, features: list[str], label: str) -> float:
    x = StandardScaler().fit_transform(np.log1p(frame[features].clip(lower=0)))
    x = np.hstack([x, StandardScaler().fit_transform(frame[features])])
    half = len(frame) // 2
    model = LogisticRegression(max_iter=500).fit(x[:half], frame[label][:half])
    return float(roc_auc_score(frame[label][half:], model.predict_proba(x[half:])[:, 1]))


def test_hospital_and_insurer_together_reach_the_best_auc_and_neither_alone_does():
    hospital, insurer = (hospital_insurer.part(name, rows=20_000, seed=3) for name in ("hospital", "insurer"))
    joined = hospital.merge(insurer, on="person")
    assert len(joined) == 16_000
    features = [c for c in joined if c not in ("person", "readmitted")]
    own = [c for c in hospital if c not in ("person", "readmitted")]
    best = hospital_insurer.best_auc(20_000, seed=3)
    together, alone = _auc(joined, features, "readmitted"), _auc(joined, own, "readmitted")
    assert best - 0.015 < together < best + 0.015
    assert alone < together - 0.05
    assert _auc(joined, [c for c in insurer if c != "person"], "readmitted") < together - 0.05


def test_truth_is_the_labels_probability():
    chance = hospital_insurer.truth(rows=50_000, seed=1)
    label = hospital_insurer.part("hospital", rows=50_000, seed=1).set_index("person")["readmitted"]
    assert roc_auc_score(label, chance[label.index]) == pytest.approx(bayes_auc(chance.to_numpy()), abs=0.01)
    tenth = pd.qcut(chance, 10)
    assert np.allclose(label[chance.index].groupby(tenth).mean(), chance.groupby(tenth).mean(), atol=0.03)


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 60), overlap=st.floats(0, 1), seed=st.integers(0, 2**40))
def test_the_asked_share_of_people_is_shared(rows: int, overlap: float, seed: int):
    same = {"rows": rows, "seed": seed, "overlap": overlap}
    hospital, insurer = (hospital_insurer.part(name, **same) for name in ("hospital", "insurer"))
    assert hospital["person"].is_unique
    assert insurer["person"].is_unique
    assert len(set(hospital["person"]) & set(insurer["person"])) == round(rows * overlap)
    assert hospital.equals(hospital_insurer.part("hospital", **same))


def test_asked_defects_are_there():
    clean = hospital_insurer.part("insurer", rows=2000)
    spoilt = hospital_insurer.part("insurer", rows=2000, missing=0.05, outliers=0.02, duplicates=0.1)
    assert not clean.isna().to_numpy().any()
    assert len(spoilt) == 2200
    assert spoilt["person"].duplicated().sum() == 200
    assert spoilt.drop(columns="person").isna().to_numpy().mean() == pytest.approx(0.05, abs=0.01)
    far = (spoilt["income"] - clean["income"].mean()).abs() > 8 * clean["income"].std()
    assert far.mean() == pytest.approx(0.02, abs=0.01)


def test_three_banks_share_one_law():
    banks = [three_banks.part(f"bank_{i}", rows=8000, seed=5) for i in (1, 2, 3)]
    test = three_banks.part("test", rows=8000, seed=5)
    features = [c for c in test if c.startswith("f")]
    assert len(features) == 28
    model = LogisticRegression(max_iter=300).fit(pd.concat(banks)[features], pd.concat(banks)["default"])
    found = roc_auc_score(test["default"], model.predict_proba(test[features])[:, 1])
    assert found == pytest.approx(three_banks.best_auc("test", 8000, seed=5), abs=0.02)
    cosine = (
        model.coef_[0] @ three_banks.weights(5) / np.linalg.norm(model.coef_) / np.linalg.norm(three_banks.weights(5))
    )
    assert cosine > 0.97


def test_banks_differ_in_their_customers_and_with_shift_in_their_means():
    one, two = (three_banks.part(name, rows=4000, seed=5, shift=1.0) for name in ("bank_1", "bank_2"))
    assert not set(one["customer"]) & set(two["customer"])
    assert (one["f01"].mean() - two["f01"].mean()) ** 2 + (one["f02"].mean() - two["f02"].mean()) ** 2 > 0.1
    flat = [three_banks.part(name, rows=4000, seed=5)["f01"].mean() for name in ("bank_1", "bank_2")]
    assert abs(flat[0] - flat[1]) < 0.1
