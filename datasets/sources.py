"""`open_source`: the rows behind an address."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from veilflow.datasets.addresses import Address, parse_address
from veilflow.datasets.errors import SourceError
from veilflow.datasets.files import read_csv, read_images, read_parquet
from veilflow.datasets.generators import hospital_insurer, retail_stores, three_banks
from veilflow.datasets.places import locate
from veilflow.datasets.samples import breast_cancer

_SAMPLES: Mapping[str, Callable[[str], pd.DataFrame]] = {"breast_cancer": breast_cancer.part}
_GENERATORS: Mapping[str, Callable[..., pd.DataFrame]] = {
    "hospital_insurer": hospital_insurer.part,
    "three_banks": three_banks.part,
    "retail_stores": retail_stores.part,
}


def open_source(
    address: str, root: Path | None = None, text_columns: Iterable[str] = ()
) -> pd.DataFrame | dict[str, np.ndarray]:
    """The data behind ``address``.

    Args:
        address: a file ending in .csv, .parquet or .npz, ``sample://set/part``, or
            ``generate://set/part?rows=1000&seed=7`` (see `addresses`).
        root: the folder that files must lie in; None means the working directory, without that limit.
        text_columns: columns to read as text as they stand (IDs).

    Returns:
        A frame with a plain index and at least one row, columns named as in the source; for .npz a dict of arrays.

    Raises:
        SourceError: with the file, the folder it was looked for in, and what to do.
    """
    parsed = parse_address(address)
    if parsed.kind == "sample":
        return _SAMPLES[parsed.set](parsed.part)
    if parsed.kind == "generate":
        return _GENERATORS[parsed.set](parsed.part, **parsed.options)
    return _open_file(parsed, root, text_columns)


def open_table(address: str, root: Path | None = None, text_columns: Iterable[str] = ()) -> pd.DataFrame:
    """`open_source` for callers that need a table: an image set is refused."""
    found = open_source(address, root, text_columns)
    if isinstance(found, pd.DataFrame):
        return found
    raise SourceError(f"'{address}' is an image set, not a table; give a .csv or .parquet file.")


def _open_file(parsed: Address, root: Path | None, text_columns: Iterable[str]) -> pd.DataFrame | dict[str, np.ndarray]:
    path = locate(parsed.path, root)
    try:
        if path.suffix.lower() == ".csv":
            return read_csv(path, text_columns)
        if path.suffix.lower() == ".parquet":
            return read_parquet(path, text_columns)
        return read_images(path)
    except PermissionError:
        raise SourceError(f"no permission to read '{parsed.path}'.") from None
