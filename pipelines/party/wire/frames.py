"""pandas objects as plain arrays on the wire.

SecretFlow's own components (`stats/table_statistics` among them) send Series and frames. Pandas' classes restore
themselves by calling what they are told to, so none of them is on the decoder's list; these two functions are, and they
build from arrays and lists only.
"""

from typing import Any

import numpy as np
import pandas as pd

_Cells = Any
"""A numpy array without objects, or a list of plain values."""


def reduce_pandas(value: Any) -> Any:
    """How `pickle` shall write ``value``; `NotImplemented` for everything that is not pandas'."""
    if type(value) is pd.Series:
        return restore_series, (_cells(value), _cells(value.index), _name(value.name))
    if type(value) is pd.DataFrame:
        columns = [(_name(name), _cells(value.iloc[:, at])) for at, name in enumerate(value.columns)]
        return restore_frame, (columns, _cells(value.index))
    return NotImplemented


def restore_series(cells: _Cells, index: _Cells, name: Any) -> pd.Series:
    """The Series that `reduce_pandas` took apart."""
    return pd.Series(_checked(cells), index=_index(index), name=_name(name))


def restore_frame(columns: list[tuple[Any, _Cells]], index: _Cells) -> pd.DataFrame:
    """The frame that `reduce_pandas` took apart."""
    rows = _index(index)
    parts = [pd.Series(_checked(cells), index=rows, name=_name(name)) for name, cells in columns]
    return pd.concat(parts, axis=1) if parts else pd.DataFrame(index=rows)


def _cells(values: Any) -> _Cells:
    array = values.to_numpy()
    return array.astype(object).tolist() if array.dtype.hasobject or array.dtype.kind in "mM" else array


def _checked(cells: _Cells) -> _Cells:
    if isinstance(cells, np.ndarray) and not cells.dtype.hasobject and cells.ndim == 1:
        return cells
    if isinstance(cells, list) and all(type(each) in (str, int, float, bool, type(None)) for each in cells):
        return pd.array(cells, dtype=object) if cells else np.array([], dtype=object)
    raise ValueError("cells of a pandas object that are neither an array nor plain values")


def _index(index: _Cells) -> pd.Index:
    return pd.Index(_checked(index), dtype=object if isinstance(index, list) else None)


def _name(name: Any) -> Any:
    return name if isinstance(name, (str, int, type(None))) else str(name)
