"""Reader of Parquet files."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from veilflow.datasets.errors import SourceError
from veilflow.datasets.file_format import require_format
from veilflow.datasets.frames import columns_of, to_frame
from veilflow.datasets.header import kept_columns, require_header, require_names
from veilflow.datasets.wanted import Wanted


def read_parquet(path: Path, wanted: Wanted) -> pd.DataFrame:
    """A Parquet file with flat columns; a column that is not wanted may be of any type.

    Raises:
        SourceError: broken file, no rows, names as in a CSV file without a header line, columns that are neither
            numbers nor text.
    """
    require_format(path, "parquet")
    called = f"'{path.name}'"
    file = None
    try:
        file = pa_parquet.ParquetFile(path)
        stored = [name for name in file.schema_arrow.names if not name.startswith("__index_level_")]
    except (pa.ArrowException, OSError):
        file = None
    if file is None:
        raise _broken(called)
    with file:
        raw = require_names(stored, wanted, called)
        kept = kept_columns(raw, wanted, called)
        try:
            table = file.read(columns=list(kept.values())).select(list(kept.values()))
        except (pa.ArrowException, OSError):
            table = None
    if table is None:
        raise _broken(called)
    if table.num_rows == 0:
        raise SourceError(f"{called} has {len(raw)} column(s) but no rows.")
    table = table.rename_columns(list(kept))
    require_header(columns_of(table), wanted, called)
    return to_frame(table, wanted, called)


def _broken(called: str) -> SourceError:
    return SourceError(f"{called} cannot be read as Parquet: the file is broken or of another format.")
