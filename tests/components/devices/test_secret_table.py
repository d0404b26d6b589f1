"""Secret tables come back as they were stored, rank by rank, and wrong ones are refused."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.components.devices.secret_table import read_part, write_part
from veilflow.components.errors import ComponentError

DOCUMENT = {"identity": "a" * 32, "rank": 1}


def part_of(rows: int, columns: int, k: int = 2) -> np.ndarray:
    return np.random.default_rng(rows).integers(0, 2**64, (rows, columns, k), dtype=np.uint64)


@given(rows=st.integers(0, 40), columns=st.integers(1, 4), k=st.integers(1, 2), block=st.integers(1, 9))
def test_blocks_come_back_as_one_array(rows: int, columns: int, k: int, block: int) -> None:
    whole, sink = part_of(rows, columns, k), io.BytesIO()
    blocks = [whole[start : start + block] for start in range(0, rows, block)]
    write_part(sink, DOCUMENT, blocks, whole.shape)
    same = io.BytesIO()
    write_part(same, DOCUMENT, whole, whole.shape)
    assert sink.getvalue() == same.getvalue()
    sink.seek(0)
    np.testing.assert_array_equal(read_part(sink, DOCUMENT, whole.shape), whole)


def test_a_file_is_mapped_and_not_read(tmp_path: Any) -> None:
    whole, path = part_of(1000, 3), tmp_path / "part"
    with path.open("wb") as sink:
        write_part(sink, DOCUMENT, whole, whole.shape)
    with path.open("rb") as source:
        found = read_part(source, DOCUMENT, whole.shape)
    np.testing.assert_array_equal(found[[5, 999, 5]], whole[[5, 999, 5]])
    base: Any = found
    while isinstance(base, np.ndarray):
        base = base.base
    assert type(base.obj if isinstance(base, memoryview) else base).__name__ == "mmap"
    assert found.flags.aligned
    assert not found.flags.writeable


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda raw: raw[:-8], "cut off"),
        (lambda raw: raw[:40], "no such file"),
        (lambda raw: b"\x80\x04" + raw, "no such file"),
        (lambda raw: raw.replace(b"aaaa", b"bbbb"), "another table or party"),
        (lambda raw: raw.replace(b'"rank": 1', b'"rank": 2'), "another table or party"),
        (lambda raw: raw.replace(b"(6, 3, 2)", b"(3, 6, 2)"), "another table or party"),
    ],
)
def test_other_parts_are_refused(change: Any, message: str) -> None:
    sink = io.BytesIO()
    write_part(sink, DOCUMENT, part_of(6, 3), (6, 3, 2))
    with pytest.raises(ComponentError, match=message):
        read_part(io.BytesIO(change(sink.getvalue())), DOCUMENT, (6, 3, 2))


def test_blocks_of_another_shape_are_refused_with_their_shape() -> None:
    for part in (part_of(5, 3), part_of(6, 2), part_of(6, 3).view(np.int64)):
        with pytest.raises(ComponentError, match=r"rows|uint64"):
            write_part(io.BytesIO(), DOCUMENT, part, (6, 3, 2))


def stored_and_used(ctx: Any) -> dict[str, Any]:
    """Shares made inside the SPU, stored, read again, cut and used: no byte is sent for the feeding."""
    from secretflow.component.core import Output

    from veilflow.components.devices.pyu import publish, run_on
    from veilflow.components.devices.secret import Cut, SecretMachine, SecretProgram
    from veilflow.components.devices.secret_table import (
        SecretColumn,
        SpuFacts,
        read_secret_table,
        write_secret_table,
    )

    machine = SecretMachine(ctx.make_spu())
    values = {"a": np.arange(12, dtype=np.float32).reshape(6, 2), "b": np.linspace(-1, 1, 6, dtype=np.float32)}
    machine.send_shares("insurer", run_on("insurer", lambda: values))
    flag = SecretProgram("flag", lambda a, b: (b > 0,), ("a", "b"), ("mask",))
    machine.run(flag)
    columns = [SecretColumn("a0", "insurer"), SecretColumn("a1", "insurer"), SecretColumn("b", "insurer", "label")]
    columns.append(SecretColumn("mask", "", "mask"))
    output = Output(uri="secret/table")
    write_secret_table(ctx, output, machine.export(["a", "b", "mask"]), columns, 6, SpuFacts.of(machine))
    table, parts = read_secret_table(ctx, output.data, SpuFacts.of(machine))
    machine.attach("t", parts)
    cuts = {"x": Cut("t", (1, 0)), "y": Cut("t", (3,), flat=True)}
    program = SecretProgram("use", lambda x, y: (x * y[:, None], x + 0.0), ("x", "y"), ("masked", "x2"))
    rows = np.array([5, 0, 3])
    found = machine.open_to("hospital", program, cuts=cuts, rows=rows)
    opened = publish(run_on("hospital", lambda got: {key: got[key].tolist() for key in got}, found))
    return {"opened": opened, "rows": table.rows, "kinds": [c.kind for c in table.columns]}


@pytest.mark.cluster
def test_shares_of_the_spu_are_stored_and_cut_by_rows_and_columns(veilflow_cluster: Any) -> None:
    found = veilflow_cluster.call(stored_and_used)["hospital"]
    assert (found["rows"], found["kinds"]) == (6, ["feature", "feature", "label", "mask"])
    np.testing.assert_allclose(found["opened"]["x2"], [[11, 10], [1, 0], [7, 6]], atol=1e-4)
    np.testing.assert_allclose(found["opened"]["masked"], [[11, 10], [0, 0], [7, 6]], atol=1e-3)


def refused(ctx: Any, change: str) -> str:
    from secretflow.component.core import ObjectFile, Output

    from veilflow.components.devices.pyu import publish, run_on
    from veilflow.components.devices.secret_table import SecretColumn, SpuFacts, read_secret_table, write_secret_table

    spu, output = SpuFacts.of(ctx.make_spu()), Output(uri="secret/refused")
    parts = {party: run_on(party, lambda: part_of(4, 1)) for party in spu.parties}
    columns = [SecretColumn("x", "hospital")]
    try:
        if change == "twice":
            columns *= 2
        if change == "missing":
            parts = {party: part for party, part in parts.items() if party != "insurer"}
        if change == "short":
            parts["insurer"] = run_on("insurer", lambda: part_of(3, 1))
        write_secret_table(ctx, output, parts, columns, 4, spu)
        wanted = spu
        if change == "order":
            wanted = SpuFacts(spu.protocol, spu.parties[::-1])
        if change == "other":
            old = ObjectFile.from_distdata(output.data)
            write_secret_table(ctx, output, parts, columns, 4, spu)
            output.data = old.to_distdata()
        table, found = read_secret_table(ctx, output.data, wanted)
        publish({party: run_on(party, len, part) for party, part in found.items()})
    except ComponentError as problem:
        return str(problem)
    return f"{table.rows} rows"


@pytest.mark.cluster
@pytest.mark.parametrize(
    "change, message",
    [
        ("none", "4 rows"),
        ("twice", "two columns called x"),
        ("missing", "shares come from coordinator, hospital, but the SPU's parties are"),
        ("short", "has 3 rows, the others 4"),
        ("order", "made for ABY3 with coordinator, hospital, insurer, but this step's SPU is ABY3 with insurer"),
        ("other", "belongs to another table or party"),
    ],
)
def test_wrong_tables_are_refused_with_the_reason(veilflow_cluster: Any, change: str, message: str) -> None:
    assert message in veilflow_cluster.call(refused, change)["hospital"]


def fed(ctx: Any) -> dict[str, float]:
    """Bytes that this party sends while 50 batches of 400 x 3 cells are cut and added up; and what they add up to."""
    from veilflow.components.devices.pyu import publish, run_on
    from veilflow.components.devices.secret import Cut, SecretMachine, SecretProgram
    from veilflow.components.devices.secret_layout import ring
    from veilflow.pipelines.party.traffic import TrafficMeter

    machine = SecretMachine(ctx.make_spu())
    drawn = ring(np.arange(1200.0).reshape(400, 3) / 8)
    shares = [drawn, 0 * drawn, 0 * drawn]
    parts = {
        party: run_on(party, lambda r: np.stack([shares[r], shares[(r + 1) % 3]], axis=-1), rank)
        for rank, party in enumerate(machine.parties)
    }
    machine.attach("t", parts)
    machine.zeros({"total": (400, 3)})
    add = SecretProgram("add", lambda total, x: (total + x,), ("total", "x"), ("total",))
    batches = [np.random.default_rng(i).permutation(400) for i in range(50)]
    machine.loop([add], {"x": Cut("t")}, batches[:1])
    machine.digests()  # everything is compiled and compared from here on
    meter = TrafficMeter()
    before = meter.total()
    machine.loop([add], {"x": Cut("t")}, batches[1:])
    machine.digests()
    sent = meter.total() - before
    meter.close()
    found = machine.open_to("hospital", SecretProgram("sum", lambda total: (total.sum(),), ("total",), ("s",)))
    return {"sent": float(sent), "sum": publish(run_on("hospital", lambda got: float(got["s"]), found))}


@pytest.mark.cluster
def test_feeding_batches_of_a_stored_table_sends_nothing(veilflow_cluster: Any) -> None:
    found = veilflow_cluster.call(fed)
    assert found["hospital"]["sum"] == pytest.approx(50 * 1199 * 600 / 8, rel=1e-6)
    for party in found.values():
        assert party["sent"] < 20_000, "49 batches are 2.8 MB of shares; only the digests' few hundred bytes travel"


def ranks(ctx: Any) -> dict[str, Any]:
    from types import SimpleNamespace

    from veilflow.components.devices.secret import SecretMachine
    from veilflow.components.devices.secret_table import SpuFacts

    device = ctx.make_spu()
    other_order = {**device.cluster_def, "nodes": device.cluster_def["nodes"][::-1]}
    return {
        "ranks": SecretMachine(device).parties,
        "made": list(SpuFacts.of(device).parties),
        "defined": list(SpuFacts.of(SimpleNamespace(cluster_def=other_order)).parties),
    }


@pytest.mark.cluster
def test_facts_name_parties_in_the_order_of_their_ranks_whatever_the_definition_says(veilflow_cluster: Any) -> None:
    found = veilflow_cluster.call(ranks)["hospital"]
    assert found["ranks"] == found["made"] == found["defined"]
