"""Images at one party become a table of embeddings, before any alignment: all of its rows, so it learns nothing.

Inputs   ``encoder``: of an earlier run, to encode new images as before; left out, one is fitted on these.
Outputs  ``table``: at the party: ID, embedding columns, label where the file holds one; to be aligned like any table.
         ``encoder``: stays at the party (its weights say something about the images).
Public   column names, row count, size of the images.
Opened   nothing. Everything happens in the clear at the party, with plain JAX.
"""

import secrets
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from secretflow.component.core import (
    Component,
    Context,
    DistDataType,
    Field,
    Input,
    Interval,
    Output,
    VTableField,
    VTableSchema,
    register,
)

from veilflow.components.data.names import require_free
from veilflow.components.devices.objects import read_object, write_object
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.report import ReportBuilder
from veilflow.components.devices.schemas import KINDS
from veilflow.components.devices.tables import write_table
from veilflow.components.errors import ComponentError
from veilflow.components.training.labels import check_binary_label
from veilflow.components.vertical.encode.encoders import Encoder, encode, fit
from veilflow.components.vertical.encode.row_ids import row_ids
from veilflow.components.vertical.encode.settings import METHODS, EncoderSettings
from veilflow.datasets.errors import SourceError
from veilflow.datasets.sources import open_source

ENCODER_KIND = "sf.rule.vf_encoder"
ROW = "row"


@register(domain="vertical", version="1.0.0", name="encode")
class Encode(Component):
    """
    Turn all of a party's images (.npz) into embeddings that can be aligned and trained on like any table. Runs at the
    party alone.
    """

    party: str = Field.party_attr(desc="Whose images these are; it reads the file on its own machine.")
    path: str = Field.attr(desc="An .npz file with one array of images, and others of IDs and labels.")
    images: str = Field.attr(desc="Array of images: rows x height x width (x channels).", default="train_images")
    id: str = Field.attr(desc="Array of IDs, one per image; empty: the row's number, in a column 'row'.", default="")
    label: str = Field.attr(desc="Array of labels 0 and 1, if the file holds them.", default="")
    method: str = Field.attr(
        desc="pca and autoencoder need no label; cnn learns the party's own label.",
        default="pca",
        choices=list(METHODS),
    )
    width: int = Field.attr(desc="Columns of the embedding.", default=16, bound_limit=Interval.closed(1, 512))
    epochs: int = Field.attr(desc="Of autoencoder and cnn.", default=5, bound_limit=Interval.closed(1, 1000))
    prefix: str = Field.attr(desc="Put before the number of each column of the embedding.", default="image_")
    encoder_in: Input = Field.input(desc="An encoder fitted before.", types=[ENCODER_KIND, DistDataType.NULL])
    table: Output = Field.output(desc="Embeddings.", types=[DistDataType.INDIVIDUAL_TABLE])
    encoder: Output = Field.output(desc="The encoder, at its party.", types=[ENCODER_KIND])
    report: Output = Field.output(desc="Counts and sizes.", types=[DistDataType.REPORT])

    def evaluate(self, ctx: Context) -> None:
        settings = EncoderSettings(self.method, int(self.width), int(self.epochs))
        settings.check(bool(self.label))
        root, path = getattr(ctx, "data_root", None), self.path
        names = (self.images, self.id, self.label)
        require_free(names[1:], "an ID or the label")
        arrays = run_on(self.party, lambda: _arrays(path, root, names))
        if self.encoder_in is None:
            part = run_on(self.party, _fitter(settings), arrays)
        else:
            _, parts = read_object(ctx, self.encoder_in, ENCODER_KIND, [self.party])
            part = parts[self.party]
        frame, facts = run_on(self.party, _encoder(self.prefix, self.id, self.label), arrays, part, returns=2)
        told = publish(facts)
        fields = [VTableField(name, kind, KINDS[role]) for name, kind, role in told["columns"]]
        write_table(ctx, self.table, {self.party: frame}, {self.party: VTableSchema(fields)})
        write_object(ctx, self.encoder, ENCODER_KIND, {self.party: part}, {"shape": told["shape"]})
        report = ReportBuilder("encode", f"Images of {self.party} as embeddings.")
        size = " x ".join(map(str, told["shape"]))
        report.values("metrics", {"rows": told["rows"], "width": told["width"], "images": size})
        report.write(self.report)


def _arrays(path: str, root: Path | None, names: tuple[str, str, str]) -> dict[str, np.ndarray]:
    """Images, IDs and labels, as far as they are named."""
    try:
        found = open_source(path, root)
    except SourceError as problem:
        raise ComponentError(str(problem), problem.own) from None
    if isinstance(found, pd.DataFrame):
        raise ComponentError(f"'{path}' is a table, not an image set; read it with data/read_table.")
    images, ids, label = names
    missing = [name for name in names if name and name not in found]
    if missing:
        raise ComponentError(
            f"'{path}' has no array {', '.join(missing)} among its {len(found)}.", f"it has: {', '.join(found)}"
        )
    held = {"images": found[images]}
    for key, name in (("id", ids), ("label", label)):
        if name:
            held[key] = found[name].reshape(-1)
            if len(held[key]) != len(held["images"]):
                raise ComponentError(f"array '{name}' has {len(held[key])} rows, the images {len(held['images'])}.")
    if label:
        held["label"] = check_binary_label(held["label"], label, both=False)
    return held


def _fitter(settings: EncoderSettings) -> Any:
    def make(arrays: dict[str, np.ndarray]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        rng = np.random.default_rng(secrets.randbits(128))
        found = fit(arrays["images"], arrays.get("label"), settings, rng)
        return dict(found.document), dict(found.arrays)

    return make


def _encoder(prefix: str, id_name: str, label: str) -> Any:
    def make(
        arrays: dict[str, np.ndarray], part: tuple[dict[str, Any], dict[str, np.ndarray]]
    ) -> tuple[pd.DataFrame, dict[str, Any]]:
        document, weights = part
        embedding = encode(Encoder(document, weights), arrays["images"])
        name = id_name or ROW
        ids = arrays.get("id", np.arange(len(embedding)))
        frame = pd.DataFrame(embedding, columns=[f"{prefix}{i}" for i in range(embedding.shape[1])])
        frame.insert(0, name, row_ids(ids, name))
        columns = [(name, "str", "id"), *((column, "float32", "feature") for column in frame.columns[1:])]
        if label:
            frame[label] = arrays["label"].astype(np.int64)
            columns.append((label, "int64", "label"))
        facts = {
            "columns": [list(column) for column in columns],
            "rows": len(frame),
            "width": int(document["width"]),
            "shape": [int(each) for each in document["shape"]],
        }
        return frame, facts

    return make
