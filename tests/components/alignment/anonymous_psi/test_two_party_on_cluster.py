"""two_party over SecretFlow's links. No relative imports here: parties load this file by its path."""

import numpy as np
import pytest

pytestmark = pytest.mark.cluster


def two_party(ctx, hide_count):
    """The protocol over SecretFlow's links; the third party only looks on."""
    import pyarrow as pa

    from veilflow.components.alignment.anonymous.interface import AlignmentPlan, Column, Holding, protocol
    from veilflow.components.alignment.anonymous.packed_ids import pack
    from veilflow.components.devices.parties import DeviceParties
    from veilflow.components.devices.pyu import publish, run_on

    def hold(start, stop, base):
        ids = pack(pa.array([f"p{i}" for i in range(start, stop)], pa.large_string()))
        return Holding(ids, np.array([[base + i, base - i] for i in range(start, stop)], np.int64).view(np.uint64))

    holders = ("hospital", "insurer")
    holdings = {
        "hospital": run_on("hospital", lambda: hold(0, 90, 1000)),
        "insurer": run_on("insurer", lambda: hold(50, 300, 5000)),
    }
    columns = {party: tuple(Column(f"{party}{i}", party) for i in range(2)) for party in holders}
    sizes = {"hospital": 90, "insurer": 250}
    plan = AlignmentPlan(columns, sizes, "CHEETAH", holders, hide_count=hide_count, settings={"epsilon": 2.0})
    shared = protocol("two_party")(DeviceParties(), holdings, plan, lambda *_, **__: None)
    found = publish({p: run_on(p, lambda x: np.concatenate(x)[..., 0].tolist(), shared.parts[p]) for p in holders})
    total = sum(np.array(part, np.uint64) for part in found.values()).view(np.int64)
    return {"rows": total.tolist(), "columns": [column.name for column in shared.columns]}


@pytest.mark.parametrize("hide_count", ["no", "rounded"])
def test_two_party_gives_shares_of_the_inner_join(veilflow_cluster, hide_count):
    found = veilflow_cluster.call(two_party, hide_count)["hospital"]
    table = np.array(found["rows"])
    if hide_count == "rounded":
        assert found["columns"][-1] == "member"
        table = table[table[:, -1] == 1 << 18][:, :-1]
    assert sorted(table.tolist()) == [[1000 + i, 1000 - i, 5000 + i, 5000 - i] for i in range(50, 90)]
