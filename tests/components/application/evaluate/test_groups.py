import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from veilflow.components.application.evaluate.groups import MISSING, POOLED, by_group
from veilflow.components.application.evaluate.scores import Scores, check_scores
from veilflow.components.errors import ComponentError


def rows(count: int, seed: int = 7) -> Scores:
    rng = np.random.default_rng(seed)
    label = rng.random(count) < 0.5
    label[0], label[-1] = True, False
    return check_scores(pd.Series(rng.random(count)), pd.Series(label))


@pytest.mark.parametrize("kind", ["text", "category", "number"])
def test_each_group_is_judged_on_its_own_rows(kind: str) -> None:
    scores = rows(300)
    codes = pd.Series(np.arange(300) % 3, name="region")
    groups = {"text": codes.map({0: "a", 1: "b", 2: "c"}), "category": codes.astype("category"), "number": codes}[kind]
    table = by_group(scores, groups.rename("region"), 0.4)
    assert table["rows"] == [100, 100, 100]
    for index in range(3):
        mask = (codes == index).to_numpy()
        assert table["auc"][index] == pytest.approx(roc_auc_score(scores.label[mask], scores.score[mask]))
        assert table["accuracy"][index] == pytest.approx(accuracy_score(scores.label[mask], scores.score[mask] >= 0.4))


def test_small_groups_are_pooled_and_a_small_pool_is_left_out() -> None:
    pooled = by_group(rows(100), pd.Series(["big"] * 80 + ["x"] * 7 + ["y"] * 9 + ["z"] * 4), 0.5)
    assert (pooled["group"], pooled["rows"]) == (["big", POOLED], [80, 20])
    alone = by_group(rows(100), pd.Series(["big"] * 91 + ["x"] * 9), 0.5)
    assert alone["group"] == ["big"]


def test_missing_values_are_a_group() -> None:
    assert by_group(rows(40), pd.Series(["a"] * 20 + [None] * 20), 0.5)["group"] == [MISSING, "a"]


def test_a_group_with_one_class_has_no_auc() -> None:
    scores = Scores(np.linspace(0, 1, 40), np.arange(40) >= 20)
    table = by_group(scores, pd.Series(["low"] * 20 + ["high"] * 20), 0.5)
    assert np.isnan(table["auc"]).all()
    assert table["recall"] == pytest.approx([1.0, float("nan")], nan_ok=True)


def test_an_identifier_is_refused_by_name_and_count() -> None:
    with pytest.raises(ComponentError, match=r"column 'person' has 60 distinct values.*at most 50"):
        by_group(rows(60), pd.Series(np.arange(60), name="person"), 0.5)
