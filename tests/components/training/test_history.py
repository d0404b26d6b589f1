import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score

from veilflow.components.training.history import History, auc, log_loss


@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=60))
def test_auc_equals_that_of_scikit_learn_also_with_ties(rows: list[tuple[bool, int]]) -> None:
    label = np.array([float(positive) for positive, _ in rows])
    score = np.array([float(value) for _, value in rows])
    if len(np.unique(label)) == 2:
        np.testing.assert_allclose(auc(label, score), roc_auc_score(label, score))


def test_log_loss_equals_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=200) * 3
    label = (rng.random(200) < 0.5).astype(float)
    np.testing.assert_allclose(log_loss(label, logits), sklearn_log_loss(label, 1 / (1 + np.exp(-logits))), rtol=1e-6)


def filled(values: list[float], name: str = "valid_loss") -> History:
    history = History()
    for value in values:
        history.add({"train_loss": 1.0, name: value})
    return history


def test_validation_loss_is_watched_where_there_is_one() -> None:
    assert filled([2.0, 1.0, 3.0]).best == 1
    history = History()
    for value in (3.0, 2.0, 2.5):
        history.add({"train_loss": value})
    assert history.best == 1


def test_patience_counts_epochs_since_the_best() -> None:
    history = filled([3.0, 1.0, 2.0, 2.0])
    assert history.exhausted(2)
    assert not history.exhausted(3)
    assert not history.exhausted(0), "patience 0 never stops"
    assert not filled([3.0, 1.0]).exhausted(1)
    assert not History().exhausted(1), "nothing is over before it began"


def test_columns_start_with_the_epoch() -> None:
    assert filled([2.0, 1.0]).columns() == {"epoch": [1.0, 2.0], "train_loss": [1.0, 1.0], "valid_loss": [2.0, 1.0]}
