"""`open_source`: the rows behind an address."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from veilflow.datasets.addresses import Address, parse_address
from veilflow.datasets.csv_file import read_csv
from veilflow.datasets.errors import SourceError
from veilflow.datasets.generators import hospital_insurer, retail_stores, three_banks
from veilflow.datasets.header import kept_columns, require_names
from veilflow.datasets.image_file import read_images
from veilflow.datasets.parquet_file import read_parquet
from veilflow.datasets.places import locate
from veilflow.datasets.samples import breast_cancer
from veilflow.datasets.wanted import Wanted

_SAMPLES: Mapping[str, Callable[[str], pd.DataFrame]] = {"breast_cancer": breast_cancer.part}
_GENERATORS: Mapping[str, Callable[..., pd.DataFrame]] = {
    "hospital_insurer": hospital_insurer.part,
    "three_banks": three_banks.part,
    "retail_stores": retail_stores.part,
}


_ALL = Wanted()


def open_source(address: str, root: Path | None = None, wanted: Wanted = _ALL) -> pd.DataFrame | dict[str, np.ndarray]:
    """The data behind ``address``.

    Args:
        address: a file ending in .csv, .parquet or .npz, ``sample://set/part``, or
            ``generate://set/part?rows=1000&seed=7`` (see `addresses`).
        root: the folder that files must lie in; None means the working directory, without that limit.
        wanted: the columns of a table to read.

    Returns:
        A frame with a plain index and at least one row, columns named as in the source without blanks around them; for
        .npz a dict of arrays.

    Raises:
        SourceError: with the file as ``address`` names it, and what to do.
    """
    parsed = parse_address(address)
    if parsed.kind == "file":
        return _open_file(parsed, root, wanted)
    if parsed.kind == "sample":
        frame = _SAMPLES[parsed.set](parsed.part)
    else:
        frame = _GENERATORS[parsed.set](parsed.part, **parsed.options)
    called = f"'{address}'"
    return frame[list(kept_columns(require_names([str(name) for name in frame], wanted, called), wanted, called))]


def open_table(address: str, root: Path | None = None, wanted: Wanted = _ALL) -> pd.DataFrame:
    """`open_source` for callers that need a table: an image set is refused."""
    found = open_source(address, root, wanted)
    if isinstance(found, pd.DataFrame):
        return found
    raise SourceError(f"'{address}' is an image set, not a table; give a .csv or .parquet file.")


def _open_file(parsed: Address, root: Path | None, wanted: Wanted) -> pd.DataFrame | dict[str, np.ndarray]:
    path = locate(parsed.path, root)
    try:
        if path.suffix.lower() == ".csv":
            return read_csv(path, wanted)
        if path.suffix.lower() == ".parquet":
            return read_parquet(path, wanted)
        return read_images(path)
    except PermissionError:
        raise SourceError(f"no permission to read '{parsed.path}'.") from None
