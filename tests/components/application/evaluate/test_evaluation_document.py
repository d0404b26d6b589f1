import json

import numpy as np
import pandas as pd

from veilflow.components.application.evaluate.evaluation import Settings, evaluate, to_json
from veilflow.components.application.evaluate.threshold import ThresholdRule


def frame(count: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    label = (rng.random(count) < 0.3).astype(np.int64)
    score = np.clip(rng.normal(0.3 + 0.3 * label, 0.15), 0, 0.99)
    return pd.DataFrame({"id": np.arange(count), "score": score, "label": label, "sex": np.arange(count) % 2})


def test_the_document_is_plain_json_and_agrees_with_itself() -> None:
    found = evaluate(frame(), Settings("score", "label", "sex", ThresholdRule("youden")))
    assert json.loads(to_json(found)) == found
    counts, metrics = found["confusion"], found["metrics"]
    assert sum(counts.values()) == metrics["rows"] == sum(found["groups"]["rows"]) == 200
    assert counts["true_positive"] + counts["false_negative"] == metrics["positives"]
    assert metrics["recall"] == counts["true_positive"] / metrics["positives"]
    assert sum(found["calibration"]["rows"]) == 200


def test_the_order_of_rows_does_not_matter() -> None:
    rows = frame()
    shuffled = rows.sample(frac=1, random_state=1).reset_index(drop=True)
    one, other = (evaluate(each, Settings("score", "label")) for each in (rows, shuffled))
    np.testing.assert_allclose(list(one["metrics"].values()), list(other["metrics"].values()), rtol=1e-12)
    assert one["roc"] == other["roc"]


def test_an_undefined_figure_is_null_in_the_file() -> None:
    found = evaluate(frame(), Settings("score", "label", threshold=ThresholdRule("fixed", 1.0)))
    assert np.isnan(found["metrics"]["precision"])
    assert json.loads(to_json(found))["metrics"]["precision"] is None


def test_no_id_and_no_row_is_in_the_document() -> None:
    found = evaluate(frame(2000), Settings("score", "label"))
    assert all(len(column) <= 101 for part in ("roc", "calibration") for column in found[part].values())
