"""Splits a table into train and test rows, the same rows at every party.

Input    ``data``: a table of one party, or of several whose rows stand side by side.
Outputs  ``train`` and ``test``: each keeps the order of the input's rows. ``report``: sizes.
Public   which rows (by position) are test rows. Without ``stratify`` it follows from a random seed that the first party
         draws and publishes, so it says nothing about anybody. With ``stratify`` the label holder chooses and publishes
         the positions: whoever knows some labels learns that each part holds a fixed share of every class.
"""

import secrets

import numpy as np
import pandas as pd
from secretflow.component.core import Component, Context, DistDataType, Field, Input, Interval, Output, VTable, register

from veilflow.components.data.train_test_split.split import public_split, stratified_split
from veilflow.components.devices.attributes import decimal
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.report import ReportBuilder
from veilflow.components.devices.schemas import names_of_kind
from veilflow.components.devices.tables import read_frame, write_table
from veilflow.components.errors import ComponentError


@register(domain="data", version="1.0.0", name="train_test_split")
class TrainTestSplit(Component):
    """Split rows into train and test by a random choice that all parties agree on."""

    test_size: float = Field.attr(
        desc="Share of rows that become test rows (rounded up).", default=0.2, bound_limit=Interval.open(0, 1)
    )
    stratify: bool = Field.attr(
        desc="Give both parts the same share of each class; the label holder then chooses and publishes the rows.",
        default=False,
    )
    data: Input = Field.input(
        desc="The rows to split.", types=[DistDataType.INDIVIDUAL_TABLE, DistDataType.VERTICAL_TABLE]
    )
    train: Output = Field.output(
        desc="The train rows.", types=[DistDataType.INDIVIDUAL_TABLE, DistDataType.VERTICAL_TABLE]
    )
    test: Output = Field.output(
        desc="The test rows.", types=[DistDataType.INDIVIDUAL_TABLE, DistDataType.VERTICAL_TABLE]
    )
    report: Output = Field.output(desc="Sizes.", types=[DistDataType.REPORT])

    def evaluate(self, ctx: Context) -> None:
        source = VTable.from_distdata(self.data)
        frames = {party: read_frame(ctx, part) for party, part in source.parties.items()}
        rows = _agreed_rows({party: run_on(party, len, frame) for party, frame in frames.items()})
        mask = self._stratified(source, frames, rows) if self.stratify else self._public(next(iter(frames)), rows)
        for output, chosen in ((self.train, ~mask), (self.test, mask)):
            parts = {party: run_on(party, _take, frame, chosen) for party, frame in frames.items()}
            write_table(ctx, output, parts, source.schemas)
        sizes = {"rows": rows, "train": int((~mask).sum()), "test": int(mask.sum()), "stratified": self.stratify}
        ReportBuilder("train_test_split").values("sizes", sizes).write(self.report)

    def _public(self, party: str, rows: int) -> np.ndarray:
        seed: bytes = publish(run_on(party, secrets.token_bytes, 16))
        return public_split(seed, rows, decimal(self.test_size))

    def _stratified(self, source: VTable, frames: dict, rows: int) -> np.ndarray:
        labels = {party: names_of_kind(part.schema, "label") for party, part in source.parties.items()}
        holders = {party: names[0] for party, names in labels.items() if len(names) == 1}
        if len(holders) != 1 or sum(map(len, labels.values())) != 1:
            found = ", ".join(f"{party} {len(names)}" for party, names in labels.items())
            raise ComponentError(f"stratify needs exactly one label column; there are: {found}.")
        ((party, name),) = holders.items()
        bits: bytes = publish(run_on(party, _choose_by_class, frames[party], name, decimal(self.test_size)))
        return np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=rows).astype(bool)


def _agreed_rows(counts: dict) -> int:
    found: dict[str, int] = publish(counts)
    if len(set(found.values())) != 1:
        seen = ", ".join(f"{party} {count}" for party, count in found.items())
        raise ComponentError(f"the parties' parts of the table differ in rows: {seen}.")
    return next(iter(found.values()))


def _take(frame: pd.DataFrame, chosen: np.ndarray) -> pd.DataFrame:
    return frame[chosen].reset_index(drop=True)


def _choose_by_class(frame: pd.DataFrame, label: str, test_size: float) -> bytes:
    """The stratified choice as packed bits, row 0 in the highest bit."""
    missing = int(frame[label].isna().sum())
    if missing:
        raise ComponentError(f"stratify: {missing} of {len(frame)} rows have no label '{label}'.")
    rng = np.random.default_rng(secrets.randbits(128))
    return np.packbits(stratified_split(frame[label].to_numpy(), test_size, rng)).tobytes()
