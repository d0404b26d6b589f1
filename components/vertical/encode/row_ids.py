"""The IDs of an image set's rows as text, by the rules for IDs of tables."""

import numpy as np
import pyarrow as pa

from veilflow.components.errors import ComponentError
from veilflow.datasets.exact_text import exact_text


def row_ids(ids: np.ndarray, name: str) -> list[str]:
    """One text a row.

    Args:
        ids: shape (rows,): text, bytes of UTF-8, or numbers.
        name: of the array, for messages.

    Raises:
        ComponentError: IDs that are missing, no text, or floats that have lost digits.
    """
    try:
        stored = pa.array(ids.tolist()) if ids.dtype.kind in "US" else pa.array(ids)
        text, lost = exact_text(stored.cast(pa.string()) if pa.types.is_binary(stored.type) else stored)
    except (pa.ArrowException, TypeError):
        text, lost = None, 0
    if text is None:
        raise ComponentError(f"array '{name}' of type {ids.dtype} holds no IDs: write text or whole numbers.")
    if lost or text.null_count:
        raise ComponentError(
            f"array '{name}': of {len(ids)} IDs {text.null_count - lost} are missing, and {lost} are floats that have "
            "lost digits; write IDs as text or whole numbers where the file is made."
        )
    found: list[str] = text.to_pylist()
    return found
