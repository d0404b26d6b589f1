"""What a file is by its first bytes, whatever its name says."""

from pathlib import Path

from veilflow.datasets.errors import SourceError

_HEAD = 4096
_SIGNS = (
    (b"\x1f\x8b", "gzip", "a gzip file: unpack it first (gzip -d), then give the .csv or .parquet file inside"),
    (b"PK\x03\x04", "zip", "a ZIP archive or an Excel workbook: unpack it, or save the sheet as CSV in UTF-8"),
    (b"PAR1", "parquet", "a Parquet file: let its name end in .parquet"),
    (b"\xd0\xcf\x11\xe0", "office", "an old Excel workbook: save the sheet as CSV in UTF-8"),
    (b"\x89HDF", "hdf", "an HDF5 file: save the table as CSV or Parquet"),
    (b"ORC", "orc", "an ORC file: save the table as CSV or Parquet"),
    (b"SQLite format 3", "sqlite", "a SQLite database: save the table as CSV or Parquet"),
)
_UTF16 = "UTF-16 text: save it as UTF-8 (iconv -f UTF-16 -t UTF-8 OLD.csv > NEW.csv, or 'CSV UTF-8' in Excel)"
_UTF32 = "UTF-32 text: save it as UTF-8 (iconv -f UTF-32 -t UTF-8 OLD.csv > NEW.csv)"
NOT_UTF8 = (
    "save it as UTF-8 (for GBK: iconv -f GBK -t UTF-8 OLD.csv > NEW.csv, or 'CSV UTF-8' in Excel; for Western European "
    "files: -f LATIN1)"
)
"""What to do about text of another encoding."""


def require_format(path: Path, wanted: str) -> None:
    """Refuse a file that is plainly of another format than ``csv``, ``parquet`` or ``zip`` (an .npz is one).

    Raises:
        SourceError: says what it is and what to do.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    what = _other(head, wanted)
    if what:
        raise SourceError(f"'{path.name}' is {what}.")


def _other(head: bytes, wanted: str) -> str:
    for sign, kind, what in _SIGNS:
        if head.startswith(sign) and kind != wanted:
            return what
    if wanted != "csv":
        return ""
    if head.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        return _UTF32
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or _mostly_every_other_byte_zero(head):
        return _UTF16
    return "no text: it holds zero bytes" if b"\x00" in head else ""


def _mostly_every_other_byte_zero(head: bytes) -> bool:
    """UTF-16 without a mark at its beginning: in Latin letters and digits every other byte is zero."""
    return len(head) >= 4 and max(head[0::2].count(0), head[1::2].count(0)) > len(head) // 4
