"""Stores' visitors: the columns that are announced, reproducible, and with a signal that can be learned."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from veilflow.datasets.generators.retail_stores import CHANNELS, COLUMNS, best_auc, part
from veilflow.datasets.sources import open_table


def test_every_store_has_the_same_columns_and_a_part_depends_on_its_name_and_seed_only():
    frames = {name: part(name, 50, 3) for name in ("store_1", "store_2", "test")}
    for frame in frames.values():
        assert list(frame.columns) == ["visitor", *COLUMNS, "channel", "converted"]
        assert set(frame.channel) <= set(CHANNELS)
        assert not frame.isna().any().any()
    pd.testing.assert_frame_equal(frames["store_1"], part("store_1", 50, 3))
    assert not set(frames["store_1"].visitor) & set(frames["store_2"].visitor)
    address = "generate://retail_stores/store_1?rows=50&seed=3"
    pd.testing.assert_frame_equal(open_table(address), frames["store_1"])


def test_the_announced_signal_is_there_and_stores_differ():
    train, test = part("store_1", 6000), part("test", 6000)
    x, other = (pd.get_dummies(frame.drop(columns=["visitor", "converted"])) for frame in (train, test))
    model = LogisticRegression(max_iter=500).fit((x - x.mean()) / x.std(), train.converted)
    found = roc_auc_score(test.converted, model.predict_proba((other - x.mean()) / x.std())[:, 1])
    assert best_auc("test", 6000) - 0.05 < found <= best_auc("test", 6000) + 0.02
    assert 0.2 < test.converted.mean() < 0.6
    apart = abs(train.distance_km.mean() / part("store_2", 6000).distance_km.mean() - 1)
    assert apart > 0.02
    same = abs(
        part("store_1", 6000, shift=0.0).distance_km.mean() / part("store_2", 6000, shift=0.0).distance_km.mean()
    )
    assert same == pytest.approx(1.0, abs=0.06)
    assert np.isfinite(x.to_numpy(dtype=float)).all()
