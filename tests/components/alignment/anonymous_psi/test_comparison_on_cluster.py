"""`anonymous_psi` with spu_compare at real parties: shares of the inner join."""

import json

import numpy as np
import pytest

from .test_anonymous_psi_on_cluster import expected, node_of, pipeline, rows, tables, write

pytestmark = pytest.mark.cluster


def parts(out, parties):
    found = []
    for party in parties:
        (file,) = [path for path in (out / party / "artifacts").glob("*/table") if node_of(path) == "align"]
        with file.open("rb") as source:
            np.load(source)
            found.append(np.load(source))
    return found


def require_join(table, wanted):
    assert set(table[:, -1]) <= {0.0, 1.0}
    assert rows(table[table[:, -1] == 1][:, :-1]) == rows(wanted)
    assert not table[table[:, -1] == 0].any()


def test_spu_compare_gives_shares_of_the_inner_join(veilflow_cluster, tmp_path):
    patients, clients = tables(np.random.default_rng(5))
    files = write(tmp_path, patients, clients)
    run = veilflow_cluster.run(pipeline(files, protocol="spu_compare", minimum=50), tmp_path / "out")
    assert run.error is None
    shares = parts(tmp_path / "out", ("hospital", "insurer", "coordinator"))
    for rank in range(3):
        np.testing.assert_array_equal(shares[rank][..., 1], shares[(rank + 1) % 3][..., 0])
    table = sum(share[..., 0] for share in shares).view(np.int64) / 2.0**18
    require_join(table, expected(patients, clients))
    assert len(table) == 199, "as many rows as the smaller set has people"
    assert "common_people" not in json.dumps(run.model_dump())
    too_many = veilflow_cluster.run(pipeline(files, protocol="spu_compare", minimum=100), tmp_path / "out")
    assert "fewer than 100 people in common" in str(too_many.error)
