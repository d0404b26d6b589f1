"""A frame as the bytes of a CSV or Parquet file."""

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

FORMATS = ("csv", "parquet")


def to_bytes(frame: pd.DataFrame, fmt: str) -> bytes:
    """``frame`` without its index; missing values are empty in CSV and null in Parquet, floats keep every digit.

    Args:
        fmt: one of `FORMATS`.
    """
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    sink = pa.BufferOutputStream()
    if fmt == "csv":
        pa_csv.write_csv(table, sink)
    elif fmt == "parquet":
        pa_parquet.write_table(table, sink)
    else:
        raise ValueError(f"to_bytes: format must be one of {', '.join(FORMATS)}, got '{fmt}'.")
    return bytes(sink.getvalue().to_pybytes())
