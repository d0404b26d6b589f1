"""From a party's frame to the arrays a model takes, with every complaint a user can act on."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from veilflow.components.errors import ComponentError
from veilflow.components.training.labels import check_binary_label

_SHOWN = 5


def require_numeric(party: str, types: Mapping[str, str], columns: Sequence[str]) -> None:
    """Refuse text columns, by their public types.

    Raises:
        ComponentError: a column is text.
    """
    text = [name for name in columns if str(types[name]) == "str"]
    if text:
        raise ComponentError(
            f"{_listed(text)} at {party} hold(s) text; a model takes numbers. "
            "Read them as numbers, encode them, or leave them out with 'drop' in data/read_table."
        )


def require_columns(party: str, present: Sequence[str], wanted: Sequence[str]) -> None:
    """Refuse a table that lacks a column the model was trained on.

    Raises:
        ComponentError: a column is missing.
    """
    missing = [name for name in wanted if name not in present]
    if missing:
        raise ComponentError(
            f"the model was trained on {_listed(missing)} at {party}, which the table lacks; it has {len(present)} "
            f"columns there: {_listed(list(present))}. Read the same columns ('columns' and 'drop' in "
            "data/read_table), or train again without them."
        )


def feature_matrix(frame: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """The columns in this order as float32, shape (rows, columns).

    Raises:
        ComponentError: a cell is missing or infinite; the message counts them per column.
    """
    values = frame[list(columns)].to_numpy(dtype=np.float64, na_value=np.nan)
    bad = {name: int(count) for name, count in zip(columns, (~np.isfinite(values)).sum(axis=0), strict=True) if count}
    empty = [name for name, count in bad.items() if count == len(frame)]
    if empty and frame[empty].isna().all(axis=None):
        raise ComponentError(
            f"{_listed(empty)} hold(s) no value in any of {len(frame)} rows; leave it out with 'drop' in "
            "data/read_table."
        )
    if bad:
        counts = [f"{name} {count}" for name, count in bad.items()]
        raise ComponentError(
            f"{len(bad)} feature(s) have missing or infinite cells: {_listed(counts)} of {len(frame)} rows; fill or "
            "drop them first, with data/clean, or alike at several clients with 'clean' of data/federated_stats."
        )
    large = [name for name, top in zip(columns, np.abs(values).max(axis=0, initial=0), strict=True) if top > 1e30]
    if large:
        raise ComponentError(
            f"{_listed(large)} hold(s) values too large for single precision; scale with data/scale, or alike at "
            "several clients with 'scale' of data/federated_stats."
        )
    matrix: np.ndarray = values.astype(np.float32)
    return matrix


def binary_label(frame: pd.DataFrame, column: str, both: bool = True) -> np.ndarray:
    """`check_binary_label` of a frame's column."""
    return check_binary_label(frame[column], column, both)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
