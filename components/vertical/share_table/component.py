"""An aligned table becomes a table of SPU shares: each holder shares its own columns, and sends every rank its part.

Inputs   ``data``: a vertical table whose parts are aligned (by alignment/psi, so who is in it is known already).
Outputs  ``table``: the same rows as shares at the SPU's parties, for vertical/secret_train and secret_predict.
Public   column names and the row count, as before. Nothing is opened.
Cost     8 k bytes per cell and rank (k = 2 for ABY3, 1 for CHEETAH), sent once.
"""

from typing import Any

import numpy as np
import pandas as pd
from secretflow.component.core import Component, Context, DistDataType, Field, Input, Output, VTable, register

from veilflow.components.devices.events import receipt
from veilflow.components.devices.labels import SHARES
from veilflow.components.devices.pyu import publish, run_on, send_to
from veilflow.components.devices.replicate import deal
from veilflow.components.devices.report import ReportBuilder
from veilflow.components.devices.schemas import names_of_kind
from veilflow.components.devices.secret_layout import WIDTHS
from veilflow.components.devices.secret_table import (
    FEATURE,
    LABEL,
    MASK,
    SECRET_TABLE_KIND,
    WEIGHT,
    SecretColumn,
    write_secret_table,
)
from veilflow.components.devices.spu_facts import spu_facts
from veilflow.components.devices.tables import read_frame
from veilflow.components.errors import ComponentError
from veilflow.components.training.features import binary_label, feature_matrix, require_numeric
from veilflow.components.training.labels import require_number_label


@register(domain="vertical", version="1.0.0", name="share_table")
class ShareTable(Component):
    """
    Turn an aligned table into SPU shares, so that training runs entirely inside the SPU. The alignment before it may
    have told who is in it; an anonymous alignment makes a secret table by itself.
    """

    weight: str = Field.attr(desc="A column with non-negative row weights; empty: none.", default="")
    mask: str = Field.attr(desc="A column with 1 for rows that count and 0 for others; empty: none.", default="")
    data: Input = Field.input(desc="Aligned rows.", types=[DistDataType.VERTICAL_TABLE])
    table: Output = Field.output(desc="The rows as shares.", types=[SECRET_TABLE_KIND])
    report: Output = Field.output(desc="Row and column counts.", types=[DistDataType.REPORT])

    def evaluate(self, ctx: Context) -> None:
        # Without connecting the SPU: this step would end while others still connect, and yacl ends their process then.
        spu, source = spu_facts(ctx), VTable.from_distdata(self.data)
        columns = self._columns(source)
        shares: list[list[Any]] = [[] for _ in spu.parties]
        counts = {}
        for owner, own in columns.items():
            names, labels = [column.name for column in own], [c.name for c in own if c.kind == LABEL]
            values = run_on(owner, _values, read_frame(ctx, source.parties[owner]), names, labels)
            counts[owner] = run_on(owner, len, values)
            messages = run_on(owner, _dealer(spu.protocol), values, returns=len(spu.parties))
            for rank, party in enumerate(spu.parties):
                shares[rank].append(send_to(party, messages[rank], SHARES))
        rows = _agreed(publish(counts))
        widths = [len(own) for own in columns.values()]
        parts = {
            party: run_on(party, _joiner(rows, widths, WIDTHS[spu.protocol]), *shares[rank])
            for rank, party in enumerate(spu.parties)
        }
        flat = [column for own in columns.values() for column in own]
        write_secret_table(ctx, self.table, parts, flat, rows, spu, anonymous=False)
        receipt(ctx, "secret_shares", protocol=spu.protocol, columns=len(flat))
        report = ReportBuilder("share_table", "Rows as SPU shares.")
        report.values("metrics", {"rows": rows, "columns": len(flat)}).write(self.report)

    def _columns(self, source: VTable) -> dict[str, list[SecretColumn]]:
        """Per holder its columns: features (weight and mask among them), then the label."""
        special = {name: kind for name, kind in ((self.weight, WEIGHT), (self.mask, MASK)) if name}
        found: dict[str, list[SecretColumn]] = {}
        for owner, part in source.parties.items():
            features, labels = names_of_kind(part.schema, "feature"), names_of_kind(part.schema, "label")
            require_numeric(owner, part.types, features)
            for name in labels:
                require_number_label(owner, part.types[name], name)
            own = [SecretColumn(name, owner, special.pop(name, FEATURE)) for name in features]
            own += [SecretColumn(name, owner, LABEL) for name in labels]
            if own:
                found[owner] = own
        if special:
            raise ComponentError(f"no column of the table is called {', '.join(special)}.")
        return found


def _values(frame: pd.DataFrame, names: list[str], labels: list[str]) -> np.ndarray:
    for name in labels:
        binary_label(frame, name)
    values = feature_matrix(frame, names)
    large = float(np.abs(values).max(initial=0))
    if large >= 2.0**20:
        raise ComponentError(
            "a column has values of a million and more, too large for products with 18 fraction bits; "
            "use data/scale first."
        )
    return values


def _dealer(protocol: str) -> Any:
    return lambda values: tuple(part.tobytes() for part in deal(values, protocol))


def _joiner(rows: int, widths: list[int], k: int) -> Any:
    def join(*messages: bytes) -> np.ndarray:
        parts = [np.frombuffer(m, np.uint64).reshape(rows, w, k) for m, w in zip(messages, widths, strict=True)]
        return np.concatenate(parts, axis=1)

    return join


def _agreed(counts: dict[str, int]) -> int:
    if len(set(counts.values())) != 1:
        seen = ", ".join(f"{party} {count}" for party, count in counts.items())
        raise ComponentError(f"the parties' parts of the table differ in rows: {seen}. Align them first.")
    return next(iter(counts.values()))
