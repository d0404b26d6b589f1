"""A label that is not 0 and 1 in the file, made so by a threshold or by the cell that means 1."""

import numpy as np
import pandas as pd

from veilflow.components.errors import ComponentError


def above_threshold(label: pd.Series, above: float) -> pd.Series:
    if label.dtype == object:
        raise ComponentError(
            f"label_above needs a numeric label, but '{label.name}' is text; declare its type, or give label_is: and "
            "the cell that means 1."
        )
    return (label > above).astype(np.int64)


def is_cell(label: pd.Series, one: str) -> pd.Series:
    """1 where the cell is ``one``; a misspelled setting must not make every row a 0 in silence."""
    if label.dtype == object:
        words = label.map(lambda cell: cell if cell is None else cell.strip())
        found, near = words == one.strip(), words.str.casefold() == one.strip().casefold()
    else:
        found = near = label == _number(one, str(label.name))
    if int(near.sum()) > int(found.sum()):
        raise ComponentError(
            f"label '{label.name}' writes what label_is: says in {int(near.sum() - found.sum())} row(s) with other "
            "capitals; make the column uniform first."
        )
    if not found.any():
        raise ComponentError(
            f"no cell of label '{label.name}' is what label_is: says, in {len(label)} rows; correct label_is."
        )
    return found.astype(np.int64)


def _number(text: str, label: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ComponentError(f"label '{label}' is a column of numbers, and label_is: says none; correct it.") from None
