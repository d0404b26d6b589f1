"""The parties' side of `bench alignment`: called by name at every party, in the same order, in a living simulation."""

import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from veilflow.components.alignment.anonymous.interface import (
    CHEETAH,
    NOT_HIDDEN,
    AlignmentPlan,
    Column,
    Holding,
    protocol,
)
from veilflow.components.alignment.anonymous.people import hold
from veilflow.components.alignment.spec import parse_rules
from veilflow.components.devices.link import pair_link, pair_route
from veilflow.components.devices.parties import DeviceParties
from veilflow.components.devices.psi import join_files
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.secret import SecretMachine
from veilflow.components.devices.secret_table import SpuFacts
from veilflow.components.devices.spu_facts import spu_facts
from veilflow.components.devices.spu_parties import SpuParties
from veilflow.pipelines.party.traffic import TrafficMeter

HOLDERS = ("hospital", "insurer")


def write_tables(ctx: Any, rows: int, columns: int) -> dict[str, Any]:
    """Both holders' CSV files: 13-character IDs in random order, half of them common, rounded normal columns."""
    _table(ctx, ctx.self_party).parent.mkdir(exist_ok=True)

    def write(party: str, first: int) -> int:
        rng = np.random.default_rng(secrets.randbits(128))
        ids = pa.array([f"P{number:012d}" for number in rng.permutation(rows) + first])
        values = {f"{party}{at}": np.round(rng.normal(size=rows), 4) for at in range(columns)}
        pa_csv.write_csv(pa.table({"id": ids, **values}), str(_table(ctx, party)))
        return rows

    for at, party in enumerate(HOLDERS):
        publish(run_on(party, write, party, at * (rows // 2)))
    return {"rows": None}


def ours(ctx: Any, columns: int, method: str = "coordinator") -> dict[str, Any]:
    """From CSV files to shares in files at all parties of the SPU; ``columns`` of each table, which may be none."""
    from veilflow.components.devices.secret_table import SecretColumn, write_secret_table

    # Two holders alone have shares for a two-party SPU; it need not be there to make them.
    facts = SpuFacts(CHEETAH, HOLDERS) if method == "two_party" else spu_facts(ctx)
    at = SpuParties(SecretMachine(ctx.make_spu())) if method == "spu_compare" else DeviceParties()
    names = {party: [f"{party}{at}" for at in range(columns)] for party in HOLDERS}

    def read(party: str) -> tuple[Holding, int]:
        table = pa_csv.read_csv(str(_table(ctx, party)))
        held, counts = hold(table, ["id"], names[party], parse_rules(["strip", "width"]), "error", party)
        return held, counts["people"]

    def align() -> int:
        found = {party: run_on(party, read, party, returns=2) for party in HOLDERS}
        people = publish({party: pair[1] for party, pair in found.items()})
        plan = AlignmentPlan(
            columns={party: tuple(Column(name, party) for name in names[party]) for party in HOLDERS},
            people=people,
            spu=facts.protocol,
            ranks=facts.parties,
            coordinator="coordinator",
            hide_count=NOT_HIDDEN,
        )
        holdings = {party: pair[0] for party, pair in found.items()}
        shared = protocol(method)(at, holdings, plan, lambda *_, **__: None)
        described = [SecretColumn(column.name, column.owner, column.kind) for column in shared.columns]
        write_secret_table(
            ctx, SimpleNamespace(uri="bench/shares", data=None), dict(shared.parts), described, shared.rows, facts
        )
        return shared.rows

    found = _measured(ctx, align)
    return {**found, "rows": None} if method == "spu_compare" else found  # padded: as many rows as a table has


def plain(ctx: Any, columns: int) -> dict[str, Any]:
    """`alignment/psi` as a whole on the same files: IDs made comparable, RR22, rows fetched, order agreed, stored."""
    from veilflow.components.alignment.psi.component import Psi
    from veilflow.components.devices.tables import csv_table, row_count

    def described(party: str) -> Any:
        features = {f"{party}{at}": "float64" for at in range(columns)}
        return csv_table(party, str(_table(ctx, party).relative_to(ctx.data_dir)), {"id": "str"}, features)

    left, right = map(described, HOLDERS)
    table, report = (SimpleNamespace(uri=f"bench/{name}", data=None) for name in ("psi", "report"))
    component = Psi(
        protocol="RR22",
        receiver="both",
        normalise=["strip", "width"],
        duplicates="error",
        allow_empty=False,
        left_id=[],
        right_id=[],
        left=left,
        right=right,
        table=table,
        report=report,
    )

    def align() -> int:
        component.evaluate(ctx)
        return row_count(table.data)

    return _measured(ctx, align)


def library(ctx: Any, name: str) -> dict[str, Any]:
    """SecretFlow's PSI library on the same files; the third party only waits."""
    route = pair_route(ctx, *HOLDERS)

    def join(party: str) -> dict[str, Any]:
        with pair_link(route, party, f"bench-{name}", 1800) as link:
            return _measured_here(lambda: _join(ctx, link, party, name))

    found = publish({party: run_on(party, join, party) for party in HOLDERS})
    none = {"seconds": 0.0, "cpu": 0.0, "bytes": 0, "peak": 0, "rows": None}
    return dict(found.get(ctx.self_party, none))


def _join(ctx: Any, link: Any, party: str, name: str) -> int:
    source = _table(ctx, party)
    target = source.with_name(f"{party}-{name}.csv")
    join_files(link, source, target, "id", name)
    with target.open("rb") as lines:
        return sum(1 for _ in lines) - 1


def _measured(ctx: Any, work: Callable[[], int]) -> dict[str, Any]:
    """``work`` between two meetings of all parties."""

    def work_and_meet() -> int:
        rows = work()
        _meet(ctx)
        return rows

    _meet(ctx)
    return _measured_here(work_and_meet)


def _measured_here(work: Callable[[], int]) -> dict[str, Any]:
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is in use now
    meter = TrafficMeter()
    before, started, busy = meter.total(), time.monotonic(), _processor()
    rows = work()
    seconds, sent, busy = time.monotonic() - started, meter.total() - before, _processor() - busy
    meter.close()
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024
    return {"seconds": seconds, "cpu": busy, "bytes": sent, "peak": peak, "rows": rows}


def _processor() -> float:
    """Processor seconds of this process and of the commands it has run."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _meet(ctx: Any) -> None:
    publish([run_on(party, lambda: True) for party in ctx.parties])


def _table(ctx: Any, party: str) -> Path:
    """In the party's own storage, where components read, too."""
    return Path(ctx.data_dir) / "bench" / f"{party}.csv"
