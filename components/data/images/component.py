"""Reads one party's images; their number, size and type become public, no image does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from secretflow.component.core import Component, Context, DistDataType, Field, Output, register

from veilflow.components.data.images.bundle import IMAGE_KIND
from veilflow.components.data.images.select import select
from veilflow.components.data.images.spec import ImageSpec
from veilflow.components.devices.early import begun
from veilflow.components.devices.objects import write_object
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.report import ReportBuilder
from veilflow.components.errors import ComponentError
from veilflow.datasets.errors import SourceError
from veilflow.datasets.sources import open_source

Part = tuple[dict[str, Any], dict[str, np.ndarray]]


@register(domain="data", version="1.0.0", name="read_images")
class ReadImages(Component):
    """Read images and labels from an .npz file at one party, with arrays like train_images, train_labels."""

    party: str = Field.party_attr(desc="The party whose images these are; it reads the file on its own machine.")
    path: str = Field.attr(desc="An .npz file.")
    split: str = Field.attr(desc="Which arrays: train reads train_images and train_labels.", default="train")
    share: str = Field.attr(desc="1/2 takes every other image, from the first on; 1/1 takes all.", default="1/1")
    images: Output = Field.output(desc="The images, at their party.", types=[IMAGE_KIND])
    report: Output = Field.output(desc="Number, size and type.", types=[DistDataType.REPORT])

    def reading(self, ctx: Context) -> Callable[[], tuple[Part, dict[str, Any]]]:
        """See `Reading`."""
        spec, path, root = ImageSpec(self.split, self.share), self.path, getattr(ctx, "data_root", None)

        def load() -> tuple[Part, dict[str, Any]]:
            arrays, facts = select(_open(path, root), spec, f"'{path}'")
            return ({}, arrays), facts

        return load

    def evaluate(self, ctx: Context) -> None:
        part, found = run_on(self.party, begun(ctx, self.reading(ctx)), returns=2)
        facts = publish(found)
        write_object(ctx, self.images, IMAGE_KIND, {self.party: part}, facts)
        report = ReportBuilder("read_images", f"The images of {self.party}.")
        report.values("rows", {"party": self.party, "rows": facts["rows"], "dtype": facts["dtype"]})
        report.values("shape", {"size": "x".join(map(str, facts["shape"])), "labelled": facts["labelled"]})
        report.write(self.report)


def _open(path: str, root: Path | None) -> dict[str, np.ndarray]:
    try:
        found = open_source(path, root)
    except SourceError as problem:
        raise ComponentError(str(problem), problem.own) from None
    if not isinstance(found, dict):
        raise ComponentError(f"'{path}' is a table, not an image set; use data/read_table.")
    return found
