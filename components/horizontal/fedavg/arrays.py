"""From a client's rows to the arrays a model takes."""

import logging

import numpy as np
import pandas as pd

from veilflow.components.data.columns import Columns
from veilflow.components.errors import ComponentError
from veilflow.components.training.features import binary_label, feature_matrix

log = logging.getLogger("veilflow")

Data = tuple[np.ndarray, np.ndarray]
"""``x`` float32, one row per entry of the first axis; ``y`` float32, 0 or 1."""

MIN_ROWS = 2
FEATURE_BOUND = 1e9
"""No input of a model is larger in magnitude, scaling included; what is, is cut, the same at every party and in
prediction. A public bound far beyond what a scaled feature is: squares, and sums of them over a million columns, are
finite in single precision."""


def table_arrays(
    frame: pd.DataFrame, columns: Columns, label: bool = True, both: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Inputs in the agreed order, text as 0 and 1, and the label.

    Args:
        both: both classes must be there. Not at a client: one bank may know of no default.

    Raises:
        ComponentError: no rows, gaps, infinite or text cells, values outside the categories.
    """
    _require_rows(len(frame), "row", label)
    parts = []
    for name in columns.features:
        if name in columns.categories:
            parts.append(_one_hot(frame[name], columns.categories[name]))
    numbers = [name for name in columns.features if name not in columns.categories]
    if not parts:
        x = _matrix(frame, numbers)
    else:
        matrix = _matrix(frame, numbers) if numbers else np.zeros((len(frame), 0), np.float32)
        x = np.concatenate([matrix, *parts], axis=1)
    return x, binary_label(frame, columns.label, both) if label else None


def _matrix(frame: pd.DataFrame, names: list[str]) -> np.ndarray:
    """The numbers as float32, none beyond `FEATURE_BOUND`. How many cells were cut is for the party's own log alone: a
    single row shall not be able to stop a training, or be told of by it."""
    values = frame[names].to_numpy(dtype=np.float64, na_value=np.nan)
    beyond = np.isfinite(values) & (np.abs(values) > FEATURE_BOUND)
    if beyond.any():
        cells = int(beyond.sum())
        log.warning("%d cell(s) are beyond %g, and cut to it; scale the features", cells, FEATURE_BOUND)
        frame = pd.DataFrame(np.where(beyond, np.sign(values) * FEATURE_BOUND, values), columns=names)
    return feature_matrix(frame, names)


def _require_rows(count: int, what: str, training: bool) -> None:
    if training and count < MIN_ROWS:
        raise ComponentError(
            f"{count} {what}(s): a client needs at least {MIN_ROWS} to train. Bring more, or leave it out of 'tables'."
        )
    if not count:
        raise ComponentError(f"there is no {what} to score; look into the steps that made this input.")


def _one_hot(column: pd.Series, values: tuple[str, ...]) -> np.ndarray:
    codes = pd.Categorical(column, categories=list(values)).codes
    strange = int((codes < 0).sum())
    if strange:
        raise ComponentError(
            f"column '{column.name}' has {strange} of {len(column)} cells that are none of its {len(values)} agreed "
            "categories; add them to 'categories', or correct the rows."
        )
    found: np.ndarray = np.eye(len(values), dtype=np.float32)[codes]
    return found


def image_arrays(
    images: np.ndarray, label: np.ndarray | None, both: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Images as float32 from 0 to 1, and their labels.

    Raises:
        ComponentError: no images, or with ``both`` one class only.
    """
    _require_rows(len(images), "image", label is not None)
    x = images.astype(np.float32)
    x = x / np.float32(255.0) if images.dtype == np.uint8 else np.clip(x, -FEATURE_BOUND, FEATURE_BOUND)
    if label is None:
        return x, None
    return x, binary_label(pd.DataFrame({"label": label.astype(np.float64)}), "label", both)
