"""Reader of image sets (.npz)."""

import zipfile
from pathlib import Path

import numpy as np

from veilflow.datasets.errors import SourceError
from veilflow.datasets.wanted import listed


def read_images(path: Path) -> dict[str, np.ndarray]:
    """An image set: arrays named ``<split>_images`` (rows, height, width[, channels]) and ``<split>_labels``.

    Raises:
        SourceError: broken file, arrays of Python objects, or images and labels that differ in number.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (ValueError, OSError, zipfile.BadZipFile):
        arrays = {}
    if not arrays:
        raise SourceError(f"'{path.name}' is no readable .npz file of plain arrays.")
    for name, images in arrays.items():
        labels = arrays.get(name.removesuffix("images") + "labels") if name.endswith("images") else None
        if labels is not None and len(labels) != len(images):
            raise SourceError(
                f"'{path.name}': an array has {len(images)} images for {len(labels)} labels.", f"it is {listed([name])}"
            )
    return arrays
