"""Every step of a vertical training runs through SecretFlow's own `comp_eval`, without VeilFlow's runtime."""

import numpy as np
import pandas as pd
import pytest
from pyarrow import orc

pytestmark = pytest.mark.cluster
ELSEWHERE = {"data/federated_stats", "data/read_images", "horizontal/fedavg_predict", "horizontal/fedavg_train"}
"""Run in `test_comp_eval_horizontal.py`."""


def read_part(parties, table, party):
    """One party's file of a stored table."""
    (ref,) = [ref for ref in table.data_refs if ref.party == party]
    return orc.ORCFile(str(parties.folder / party / ref.uri)).read().to_pandas()


def tabs(report):
    from veilflow.pipelines.party.report_tabs import tabs_from_report

    return tabs_from_report(report)


def values(report, tab):
    """A report's named values."""
    return next(found["values"] for found in tabs(report) if found["name"] == tab)


@pytest.fixture(scope="module")
def aligned(parties):
    """Hospital's and insurer's tables, matched."""
    tables = {}
    for party, more in (("hospital", {"label": "malignant"}), ("insurer", {})):
        params = {"party": [party], "path": f"sample://breast_cancer/{party}", "id": ["person"], **more}
        tables[party] = parties.run("data/read_table:1.0.0", params, node=f"read_{party}")["table"]
    return tables, parties.run("alignment/psi:1.0.0", {"protocol": "RR22"}, tables.values())


def test_psi_gives_the_inner_join(parties, aligned):
    tables, found = aligned
    left, right = (read_part(parties, tables[party], party) for party in ("hospital", "insurer"))
    one, other = (read_part(parties, found["table"], party) for party in ("hospital", "insurer"))
    assert one["person"].tolist() == other["person"].tolist()
    expected = left.merge(right, on="person").sort_values("person").reset_index(drop=True)
    got = pd.concat([one, other.drop(columns="person")], axis=1).sort_values("person").reset_index(drop=True)
    pd.testing.assert_frame_equal(got[expected.columns], expected)
    assert values(found["report"], "alignment")["common_people"] == len(expected)
    assert not (parties.folder / "coordinator" / "alignment_psi").exists()


def test_a_model_is_trained_and_judged(parties, aligned):
    _, found = aligned
    split = parties.run(
        "data/train_test_split:1.0.0", {"test_size": 0.25}, [found["table"]], outputs=("train", "test", "report")
    )
    scaled = parties.run("data/scale:1.0.0", {}, [split["train"]], outputs=("table", "rule", "report"))
    nothing = null()
    trained = parties.run(
        "vertical/split_train:1.0.0",
        {"epochs": 6, "batch_size": 64, "noise": 0.0},
        [scaled["table"], nothing, scaled["rule"]],
        outputs=("model", "report"),
    )
    scores = parties.run(
        "vertical/split_predict:1.0.0",
        {"receiver": ["hospital"]},
        [trained["model"], split["test"]],
        outputs=("scores", "report"),
    )
    judged = parties.run("application/evaluate:1.0.0", {}, [scores["scores"]], outputs=("report",))
    metrics = values(judged["report"], "metrics")
    assert metrics["auc"] > 0.9
    assert len(read_part(parties, scores["scores"], "hospital")) == metrics["rows"]


def test_rules_fitted_on_one_table_are_applied_to_another(parties, aligned):
    _, found = aligned
    joint = found["table"]
    params = {"missing": "mean", "outliers": "quantile"}
    cleaned = parties.run("data/clean:1.0.0", params, [joint], outputs=("table", "rule", "report"))
    scaled = parties.run("data/scale:1.0.0", {}, [cleaned["table"]], outputs=("table", "rule", "report"), node="scale2")
    rules = [cleaned["rule"], scaled["rule"]]
    assert all(rule.type.startswith("sf.rule") for rule in rules), "Kuscia moves no other types"
    applied = parties.run("data/apply_rules:1.0.0", {}, [joint, *rules], outputs=("table",))
    for party in ("hospital", "insurer"):
        pd.testing.assert_frame_equal(
            read_part(parties, applied["table"], party), read_part(parties, scaled["table"], party)
        )


def test_one_partys_table_is_made_anonymous_and_exported(parties, aligned):
    tables, _ = aligned
    insurer = tables["insurer"]
    features = [name for name in read_part(parties, insurer, "insurer") if name != "person"]
    hidden = parties.run(
        "data/k_anonymize:1.0.0", {"input/data/quasi_identifiers": features[:2], "k": 4}, [insurer], node="hide"
    )
    rows = len(read_part(parties, hidden["table"], "insurer"))
    written = parties.run(
        "application/write_table:1.0.0", {"party": ["insurer"], "name": "out"}, [hidden["table"]], ("report",)
    )
    (file,) = (parties.folder / "insurer").rglob("out.csv")
    assert len(pd.read_csv(file)) == rows
    assert written["report"].type == "sf.report"
    parties.run("flow/barrier:1.0.0", outputs=("report",))


def test_secretflows_own_components_take_our_tables(parties, aligned):
    _, found = aligned
    parts = [read_part(parties, found["table"], party) for party in ("hospital", "insurer")]
    split = parties.run(
        "data_prep/train_test_split:1.0.0",
        {"train_size": 0.5, "test_size": 0.5, "shuffle": False, "random_state": 1},
        [found["table"]],
        outputs=("train", "test"),
        node="sf_split",
    )
    for party, part in zip(("hospital", "insurer"), parts, strict=True):
        half = read_part(parties, split["train"], party)
        assert half["person"].tolist() == part["person"].tolist()[: len(half)]
    names = [name for part in parts for name in part if name not in ("person", "malignant")]
    statistics = parties.run(
        "stats/table_statistics:1.0.2", {"input/input_ds/features": names}, [found["table"]], outputs=("report",)
    )
    described = {str(row[0]) for tab in tabs(statistics["report"]) for row in tab["rows"]}
    assert set(names) <= described


def test_nobody_learns_who_is_common_and_a_model_is_trained(parties, aligned):
    tables, _ = aligned
    scaled = [
        parties.run("data/scale:1.0.0", {}, [tables[party]], outputs=("table", "rule", "report"), node=f"own_{party}")
        for party in ("hospital", "insurer")
    ]
    both = [each["table"] for each in scaled]
    judged = parties.run("alignment/overlap:1.0.0", {"at_least": 50}, both, outputs=("report",))
    assert judged["report"].type == "sf.report"
    secret = parties.run("alignment/anonymous_psi:1.0.0", {"hide_count": "no"}, both)
    assert values(secret["report"], "alignment")["rows"] == 400
    settings = {"epochs": 5, "batch_size": 64, "learning_rate": 0.5, "test_fraction": 0.25}
    trained = parties.run("vertical/secret_train:1.0.0", settings, [secret["table"]], outputs=("model", "report"))
    assert values(trained["report"], "metrics")["test_auc"] > 0.9
    scores = parties.run(
        "vertical/secret_predict:1.0.0",
        {"receiver": ["hospital"], "rows": "held_out"},
        [trained["model"], secret["table"]],
        outputs=("scores", "report"),
    )
    assert len(read_part(parties, scores["scores"], "hospital")) == 100


def test_an_aligned_table_becomes_shares(parties, aligned):
    _, found = aligned
    shared = parties.run("vertical/share_table:1.0.0", {}, [found["table"]], node="shared")
    assert shared["table"].type == "sf.model.vf_secret_table"


def test_images_become_a_table(parties):
    file = parties.folder / "images.npz"
    images = np.random.default_rng(1).integers(0, 255, (40, 8, 8), dtype=np.uint8)
    np.savez(file, train_images=images, people=np.arange(40))
    params = {"party": ["hospital"], "path": str(file), "id": "people", "width": 4}
    made = parties.run("vertical/encode:1.0.0", params, [null()], outputs=("table", "encoder", "report"))
    assert read_part(parties, made["table"], "hospital").shape == (40, 5)


def test_every_component_of_ours_has_been_run_here(parties):
    from veilflow.pipelines.catalog.store import shipped

    ours = {found.id for found in shipped() if found.module.startswith("veilflow.")}
    elsewhere = {each for each in ours if each.split(":")[0] in ELSEWHERE}
    assert len(ours) >= 11
    assert ours - parties.ran == elsewhere, "run it through comp_eval in this file"


def null():
    from secretflow_spec.v1.data_pb2 import DistData

    return DistData(type="sf.null")
