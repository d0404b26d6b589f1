import json

from veilflow.pipelines.bench.result import Result, to_json


def test_figures_are_written_in_the_agreed_form():
    document = json.loads(to_json("overhead", [Result("ten steps", "wall time", "s", 2.0, "naive", 0.5)]))
    assert document["bench"] == "overhead"
    assert {"cpu", "cores", "python", "system"} <= set(document["machine"])
    assert document["results"] == [
        {"case": "ten steps", "metric": "wall time", "unit": "s", "value": 2.0, "baseline": "naive", "ratio": 0.5}
    ]


def test_a_figure_without_a_baseline_has_no_ratio():
    (figure,) = json.loads(to_json("x", [Result("a", "b", "s", 1.0)]))["results"]
    assert figure["ratio"] is None
    assert figure["baseline"] is None
