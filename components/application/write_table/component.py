"""Write one party's part of a table to a file in that party's own exports folder."""

from typing import Any

import pandas as pd
from secretflow.component.core import (
    Component,
    Context,
    DistDataType,
    Field,
    Input,
    Output,
    VTable,
    register,
)

from veilflow.components.application.exports import check_file_name, export_bytes
from veilflow.components.application.write_table.formats import FORMATS, to_bytes
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.report import ReportBuilder
from veilflow.components.devices.tables import read_frame
from veilflow.components.errors import ComponentError


@register(domain="application", version="1.0.0", name="write_table")
class WriteTable(Component):
    """
    Export a party's part of a table as CSV or Parquet to that party's own exports folder. Nothing leaves the party.
    """

    party: str = Field.party_attr(desc="The party whose part is written, at that party.")
    name: str = Field.attr(desc="File name without folder and ending; give every export of a pipeline its own.")
    format: str = Field.attr(
        desc="File format; in CSV, texts that begin like a formula get an apostrophe.",
        default="csv",
        choices=list(FORMATS),
    )
    table: Input = Field.input(
        desc="The table to export.", types=[DistDataType.INDIVIDUAL_TABLE, DistDataType.VERTICAL_TABLE]
    )
    report: Output = Field.output(desc="Rows and columns written.", types=[DistDataType.REPORT])

    def evaluate(self, ctx: Context) -> None:
        parts = VTable.from_distdata(self.table).parties
        if self.party not in parts:
            raise ComponentError(
                f"write_table: {self.party} holds no part of this table; it lies at {', '.join(sorted(parts))}."
            )
        file, fmt = check_file_name(f"{self.name}.{self.format}"), self.format

        def store(frame: pd.DataFrame) -> int:
            export_bytes(ctx, file, to_bytes(frame, fmt))
            return len(frame)

        part = parts[self.party]
        rows = int(publish(run_on(self.party, store, read_frame(ctx, part))))
        written: dict[str, Any] = {"file": file, "party": self.party, "rows": rows, "columns": len(part.columns)}
        ReportBuilder("write_table", f"A file in {self.party}'s own folder.").values("export", written).write(
            self.report
        )
