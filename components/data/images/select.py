"""One party's images out of a file's arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from veilflow.components.data.images.spec import ImageSpec
from veilflow.components.errors import ComponentError


def select(
    arrays: Mapping[str, np.ndarray], spec: ImageSpec, source: str
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """``images`` and, where the file has them, ``labels``; and what is public: rows, shape, dtype, positives.

    Raises:
        ComponentError: no such arrays, images that are no numbers, labels other than 0 and 1, an empty part.
    """
    splits = sorted(name.removesuffix("_images") for name in arrays if name.endswith("_images"))
    if spec.split not in splits:
        raise ComponentError(
            f"{source} has no '{spec.split}_images' among its {len(splits)} split(s); correct split.",
            f"splits: {', '.join(splits) or 'none'}",
        )
    part, parts = spec.fraction
    images = arrays[f"{spec.split}_images"][part - 1 :: parts]
    if images.ndim not in (3, 4) or images.dtype.kind not in "uif":
        raise ComponentError(f"{source}: images of shape {list(images.shape)} and type {images.dtype} cannot be used.")
    if not len(images):
        raise ComponentError(f"{source}: part {spec.share} of '{spec.split}' has no image.")
    found = {"images": np.ascontiguousarray(images)}
    facts: dict[str, Any] = {"rows": len(images), "shape": list(images.shape[1:]), "dtype": str(images.dtype)}
    labels = arrays.get(f"{spec.split}_labels")
    if labels is not None:
        flat = labels.reshape(len(labels), -1)[part - 1 :: parts]
        if flat.shape[1] != 1 or not np.isin(flat, (0, 1)).all():
            raise ComponentError(f"{source}: labels must be one 0 or 1 per image.")
        found["labels"] = flat[:, 0].astype(np.int64)
    return found, {**facts, "labelled": labels is not None}
