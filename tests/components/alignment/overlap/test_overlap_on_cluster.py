"""`alignment/overlap` at real parties, and `spu_compare` through a real SPU."""

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.cluster
HOLDERS = ("hospital", "insurer")
DEFAULTS = {
    "epsilon": 40.0,  # next to no noise, so that the count shows
    "at_least": 0,
    "normalise": ["strip", "width"],
    "duplicates": "error",
    "ledger_minimum": 10,
    "ledger_change": 0.1,
    "ledger_inputs": 4,
    "ledger_runs": 20,
    "ledger_days": 30,
    "ledger_epsilon": 0.0,
    "ledger_enforce": "production",
    "left_id": [],
    "right_id": [],
}


def overlap(ctx, left, right, params, ledger):
    """Runs at every party. IDs of both tables as lists; ``ledger`` names a folder of its own for this test."""
    from pathlib import Path

    from secretflow.component.core import Output, VTableField, VTableFieldKind, VTableSchema

    from veilflow.components.alignment.overlap.component import Overlap
    from veilflow.components.devices import run_ledger
    from veilflow.components.devices.pyu import run_on
    from veilflow.components.devices.schemas import column_types
    from veilflow.components.devices.tables import write_table
    from veilflow.components.errors import ComponentError
    from veilflow.pipelines.party.report_tabs import tabs_from_report

    run_ledger.FOLDER = f".ledger-{ledger}"
    inputs = {}
    for side, party, people in zip(("left", "right"), HOLDERS, (left, right), strict=True):
        frame = pd.DataFrame({"id": pd.Series(people, dtype=object)})
        schema = VTableSchema([VTableField("id", column_types(frame)["id"], VTableFieldKind.ID)])
        stored = Output(uri=f"test/{ctx.node}-overlap-{side}")
        write_table(ctx, stored, {party: run_on(party, lambda frame=frame: frame)}, {party: schema})
        inputs[side] = stored.data
    component = Overlap(**{**DEFAULTS, **params}, **inputs, report=Output(uri="test/overlap-report"))
    try:
        component.evaluate(ctx)
    except ComponentError as refused:
        return {"refused": str(refused)}
    found = {tab["name"]: tab for tab in tabs_from_report(component.report.data)}
    files = sorted(path.name for path in (Path(ctx.data_dir) / run_ledger.FOLDER).glob("*"))
    receipts = sorted({each["protection"] for each in ctx.receipts}) if ctx.receipts else []
    return {"tabs": found, "ledger": files, "receipts": receipts}


def people(start, stop):
    return [f"p{number}" for number in range(start, stop)]


def value(found, name):
    tab = found["tabs"]["overlap"]
    return {item["name"]: item["value"] for item in tab["values"]}[name] if "values" in tab else tab


def test_the_noised_count_is_told_to_all(veilflow_cluster):
    result = veilflow_cluster.call(overlap, people(0, 200), people(150, 400), {}, "count")
    found = {party: str(each) for party, each in result.items()}
    assert all("common_people_noised" in each for each in found.values()), found
    for party in HOLDERS:
        assert result[party]["ledger"] == ["book.json", "entered", "key", "lock"]
    assert result["coordinator"]["ledger"] == [], "who holds no table keeps no ledger"


@pytest.mark.parametrize(("threshold", "reached"), [(45, True), (56, False)])
def test_only_a_bit_is_told_where_a_threshold_is_given(veilflow_cluster, threshold, reached):
    params = {"at_least": threshold}
    result = veilflow_cluster.call(overlap, people(0, 200), people(150, 400), params, f"bit{threshold}")
    texts = {str(found["tabs"]["overlap"]) for found in result.values()}
    assert len(texts) == 1
    (text,) = texts
    assert "common_people_noised" not in text
    assert str(reached) in text


def test_the_ledger_ends_a_run_on_nearly_the_same_people(veilflow_cluster):
    always = {"ledger_enforce": "always"}
    first = veilflow_cluster.call(overlap, people(0, 200), people(150, 400), always, "near")
    assert "refused" not in first["hospital"]
    again = veilflow_cluster.call(overlap, people(0, 200), people(150, 400), always, "near")
    assert "refused" not in again["hospital"], "the same input tells nothing new"
    fewer = veilflow_cluster.call(overlap, people(0, 200), people(151, 400), always, "near")
    for found in fewer.values():
        assert "insurer's input is nearly that of an earlier run with hospital" in found["refused"]
    told = veilflow_cluster.call(overlap, people(0, 200), people(152, 400), {}, "near")
    assert "nearly that of an earlier run" in str(told["coordinator"]["tabs"]["ledger"]), "a simulation tells it"


def test_the_same_people_get_the_same_noise_and_others_cost_epsilon(veilflow_cluster):
    params = {"epsilon": 0.05, "ledger_enforce": "always", "ledger_epsilon": 0.1}
    left, right = people(0, 200), people(150, 400)

    def ask(left, **more):
        found = veilflow_cluster.call(overlap, left, right, {**params, **more}, "repeats")["hospital"]
        return found.get("refused") or found["tabs"]["overlap"]["values"]

    number = ask(left)["common_people_noised"]
    again = [ask(people)["common_people_noised"] for people in (left[::-1], left, left)]
    assert set(again) == {number}, "each holder's noise is about 28 people, and it is the same in every run"
    # Thresholds are compared with that very number.
    assert ask(left, at_least=max(1, number))["reached"] is (number >= 1)
    assert ask(left, at_least=max(1, number + 1))["reached"] is False
    assert "common_people_noised" in ask(people(0, 230))
    assert "insurer was told have cost epsilon 0.1; 0.05 more would exceed 0.1" in ask(people(0, 260))
    assert ask(left)["common_people_noised"] == number, "what was asked before costs nothing"


def test_few_people_are_refused_before_anything_is_sent(veilflow_cluster):
    params = {"ledger_enforce": "always"}
    result = veilflow_cluster.call(overlap, people(0, 9), people(0, 400), params, "few")
    assert all("hospital brings 9 people, at least 10" in found["refused"] for found in result.values())


def compared(ctx, sizes):
    """spu_compare with columns through the real SPU: the mask and all columns, opened to the test."""
    import pyarrow as pa

    from veilflow.components.alignment.anonymous.interface import AlignmentPlan, Column, Holding
    from veilflow.components.alignment.anonymous.packed_ids import pack
    from veilflow.components.alignment.anonymous.spu_compare.protocol import align
    from veilflow.components.devices.pyu import publish, run_on
    from veilflow.components.devices.secret import SecretMachine
    from veilflow.components.devices.spu_parties import SpuParties

    machine = SecretMachine(ctx.make_spu())

    def hold(start, stop, base):
        ids = pack(pa.array([f"p{i}" for i in range(start, stop)], pa.large_string()))
        return Holding(ids, np.array([[base + i, base - i] for i in range(start, stop)], np.int64).view(np.uint64))

    (a, b), (c, d) = sizes
    holdings = {
        "hospital": run_on("hospital", lambda: hold(a, b, 1000)),
        "insurer": run_on("insurer", lambda: hold(c, d, 5000)),
    }
    columns = {party: tuple(Column(f"{party}{i}", party) for i in range(2)) for party in holdings}
    plan = AlignmentPlan(columns, {"hospital": b - a, "insurer": d - c}, "ABY3", tuple(machine.parties), minimum=3)
    shared = align(SpuParties(machine), holdings, plan, lambda *_, **__: None)
    parts = publish({p: run_on(p, lambda x: np.concatenate(x)[..., 0].tolist(), shared.parts[p]) for p in shared.parts})
    total = sum(np.array(part, np.uint64) for part in parts.values()).view(np.int64)
    return {"rows": total.tolist(), "shape": [shared.rows, len(shared.columns)]}


def test_comparison_inside_a_real_spu_gives_the_inner_join(veilflow_cluster):
    found = veilflow_cluster.call(compared, [(0, 60), (40, 140)])["hospital"]
    assert found["shape"] == [60, 5]
    rows = np.array(found["rows"])
    common = rows[rows[:, -1] == 1 << 18]
    expected = [[1000 + i, 1000 - i, 5000 + i, 5000 - i] for i in range(40, 60)]
    assert sorted(common[:, :-1].tolist()) == expected
    assert not rows[rows[:, -1] == 0].any()
