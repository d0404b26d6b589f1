"""The steps of horizontal training through SecretFlow's own `comp_eval`, without VeilFlow's runtime."""

import numpy as np
import pytest
from pyarrow import orc

pytestmark = pytest.mark.cluster


def null():
    from secretflow_spec.v1.data_pb2 import DistData

    return DistData(type="sf.null")


def read_part(parties, table, party):
    """One party's file of a stored table."""
    (ref,) = [ref for ref in table.data_refs if ref.party == party]
    return orc.ORCFile(str(parties.folder / party / ref.uri)).read().to_pandas()


def test_banks_train_together_and_each_scores_its_own(parties):
    banks = []
    for number, party in enumerate(("hospital", "insurer")):
        part = f"generate://three_banks/bank_{number + 1}?rows=300"
        params = {"party": [party], "path": part, "id": ["customer"], "label": "default"}
        banks.append(parties.run("data/read_table:1.0.0", params, node=f"bank_{party}")["table"])
    found = parties.run("data/federated_stats:1.0.0", {}, banks, outputs=("clean", "scale", "report"))
    trained = parties.run(
        "horizontal/fedavg_train:1.0.0",
        {"rounds": 2, "batch_size": 64},
        [null(), found["clean"], found["scale"], *banks],
        outputs=("model", "report"),
    )
    scores = parties.run(
        "horizontal/fedavg_predict:1.0.0", {}, [trained["model"], banks[1]], outputs=("scores", "report")
    )
    assert len(read_part(parties, scores["scores"], "insurer")) == 300


def test_an_image_set_is_read(parties):
    file = parties.folder / "set.npz"
    images = np.random.default_rng(2).integers(0, 255, (12, 8, 8), dtype=np.uint8)
    np.savez(file, train_images=images, train_labels=np.arange(12) % 2)
    read = parties.run(
        "data/read_images:1.0.0", {"party": ["insurer"], "path": str(file)}, outputs=("images", "report")
    )
    assert read["images"].type == "sf.model.image_set"


def test_every_horizontal_component_has_been_run_here(parties):
    assert {each.split(":")[0] for each in parties.ran} == {
        "data/federated_stats",
        "data/read_images",
        "data/read_table",
        "horizontal/fedavg_predict",
        "horizontal/fedavg_train",
    }
